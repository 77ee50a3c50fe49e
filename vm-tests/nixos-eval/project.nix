# What else of the project has to evaluate: everything in the flake, its hosts and its tests among it.
{
  isWhole,
  nixpkgs,
  package,
  pkgs,
  system,
}:

let
  inherit (pkgs) lib;

  # As the input of the flake.
  input = {
    outPath = nixpkgs;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
      other:
      if other == system then
        pkgs
      else
        import ./pkgs.nix {
          inherit nixpkgs;
          system = other;
        }
    );
    lib = lib // {
      nixosSystem =
        arguments:
        import (nixpkgs + "/nixos/lib/eval-config.nix") (
          {
            inherit lib;
            system = null;
          }
          // arguments
          // {
            modules = arguments.modules ++ lib.optional (!isWhole) without;
          }
        );
    };
  };

  # The manual is not among the folders nixos/ and lib/.
  without =
    { config, ... }:
    {
      documentation.nixos.enable = lib.mkForce false;
      nixpkgs.pkgs = lib.mkForce input.legacyPackages.${config.nixpkgs.hostPlatform.system};
    };

  # Compiling is for another day.
  self = outputs // {
    packages = lib.mapAttrs (_: packages: packages // { osmoda = package; }) outputs.packages;
  };
  outputs = (import ../../flake.nix).outputs {
    inherit self;
    nixpkgs = input;
  };

  classic = import ../../default.nix { inherit pkgs; };

  ofEach = f: lib.mapAttrs (_: lib.mapAttrs (_: f));
  path = derivation: derivation.drvPath;
  open = config: {
    inherit (config.networking.firewall) enable allowedTCPPorts allowedUDPPorts;
  };
in
{
  outputs = lib.attrNames outputs;
  packages = ofEach path outputs.packages;
  checks = ofEach path { ${system} = outputs.checks.${system}; };
  devShells = ofEach path outputs.devShells;
  formatter = lib.mapAttrs (_: path) outputs.formatter;
  apps = ofEach (app: app.program) outputs.apps;
  overlay = (outputs.overlays.default pkgs pkgs).osmoda.drvPath;
  templates = lib.mapAttrs (_: template: builtins.readDir template.path) outputs.templates;
  hosts = lib.mapAttrs (_: host: {
    system = path host.config.system.build.toplevel;
    runs = host.config.services.osmoda.enable;
    open = open host.config;
  }) outputs.nixosConfigurations;
  # What the template makes of the flake.
  template =
    path
      ((import ../../nix/template/flake.nix).outputs {
        osmoda = outputs // {
          inputs.nixpkgs = input;
        };
      }).nixosConfigurations.osmoda-server.config.system.build.toplevel;
  # Without flakes.
  classic = {
    tests = lib.attrNames classic.tests;
    osmoda = path classic.osmoda;
    modules = lib.attrNames classic.nixosModules;
  };
}
