# The package of ../../nix/package.nix without its compiler: what it would have built comes from a folder.
{
  callPackage,
  installShellFiles ? null,
  lib,
  runCommand,
  binaries,
}:

let
  # What installShellFiles brings, where there is none.
  install = ''
    installManPage() {
      install -Dm644 -t $out/share/man/man1 "$@"
    }
    installShellCompletion() {
      install -Dm644 osmoda.bash $out/share/bash-completion/completions/osmoda.bash
      install -Dm644 osmoda.zsh $out/share/zsh/site-functions/_osmoda
      install -Dm644 osmoda.fish $out/share/fish/vendor_completions.d/osmoda.fish
    }
  '';
in
callPackage ../../nix/package.nix {
  inherit lib installShellFiles;
  rustPlatform.buildRustPackage =
    package:
    runCommand "osmoda-${package.version}"
      {
        inherit (package) src meta;
        programs = builtins.path {
          path = binaries;
          name = "osmoda-programs";
        };
      }
      ''
        mkdir -p $out/bin
        cp $programs/* $out/bin/
        cp -r $src source
        chmod -R u+w source
        cd source
        ${install}
        ${package.postInstall}
      '';
}
