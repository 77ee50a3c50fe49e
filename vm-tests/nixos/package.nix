# osModa as a package, of files that were built elsewhere and are laid out below a store path as they are below /usr.
{ nixpkgs, files }:

let
  pkgs = import ./pkgs.nix { inherit nixpkgs; };
in
pkgs.runCommand "osmoda" { files = builtins.storePath files; } ''
  cp -r --no-preserve=ownership $files $out
  chmod -R u+w $out
  for unit in $out/lib/systemd/system/*; do
    substituteInPlace $unit --replace-quiet /usr/lib/osmoda $out/lib/osmoda
  done
''
