# osModa: its programs, units, Nix expressions, completions and man pages, laid out as the release tarball has it below /usr.
{
  lib,
  rustPlatform,
  stdenv,
  installShellFiles,
}:

let
  workspace = lib.importTOML ../Cargo.toml;
  # Programs that people do not call: they find each other beside themselves.
  daemons = [
    "agentd"
    "osmoda-keyd"
    "osmoda-routines"
    "osmoda-switch"
    "osmoda-watch"
    "osmoda-witness"
  ];
in
rustPlatform.buildRustPackage {
  pname = "osmoda";
  inherit (workspace.workspace.package) version;

  # The whole workspace, for cargo reads the manifests of all its members.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../controller
      ../nix/backend
      ../nix/units
      ../properties
      ../reconcilers
      ../schemas
      ../vm-tests/machine
      ../xtask
    ];
  };

  cargoLock.lockFile = ../Cargo.lock;
  # Cargo's profile of packages.
  buildType = "dist";
  cargoBuildFlags = [
    "--workspace"
    "--bins"
    "--exclude=xtask"
  ];
  # They need Nix, a ledger's worth of fsync and in part a whole machine: `cargo xtask test`, and the flake's checks.
  doCheck = false;

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    mkdir -p $out/lib/osmoda $out/lib/systemd/system $out/lib/systemd/system-generators
    for program in ${toString daemons}; do
      mv $out/bin/$program $out/lib/osmoda/
    done
    mv $out/bin/osmoda-generator $out/lib/systemd/system-generators/
    ln -s osmoda $out/bin/agentctl

    cp -r nix/backend $out/lib/osmoda/nix
    for unit in nix/units/*; do
      substitute $unit $out/lib/systemd/system/$(basename $unit) \
        --replace-quiet /usr/lib/osmoda $out/lib/osmoda
    done
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash zsh fish; do
      $out/bin/osmoda completions $shell > osmoda.$shell
    done
    installShellCompletion osmoda.{bash,zsh,fish}
    mkdir man
    $out/bin/osmoda man man
    installManPage man/*.1
  '';

  meta = {
    description = "Declarative controller for one Linux machine: documents become Nix generations, and are proven healthy or undone";
    homepage = workspace.workspace.package.repository;
    license = lib.licenses.mit;
    mainProgram = "osmoda";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
