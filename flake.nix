{
  description = "osModa: documents say what a server should be; it makes them so, proves them healthy, or undoes them";

  # Rust 1.95 or later is needed, so the nixpkgs of a release may be too old.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = f: lib.genAttrs systems (system: f system nixpkgs.legacyPackages.${system});
      host =
        module:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            { nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux"; }
            module
          ];
        };
      # One of them on another platform.
      on =
        system: name:
        self.nixosConfigurations.${name}.extendModules {
          modules = [ { nixpkgs.hostPlatform = lib.mkForce system; } ];
        };
    in
    {
      packages = each (
        system: pkgs: rec {
          default = osmoda;
          osmoda = pkgs.callPackage ./nix/package.nix { };
          dev-vm = (on system "osmoda-dev").config.system.build.vm;
          iso = (on system "osmoda-iso").config.system.build.isoImage;
        }
      );

      overlays.default = import ./nix/overlay.nix;

      nixosModules = {
        default =
          { lib, pkgs, ... }:
          {
            imports = [ ./modules ];
            services.osmoda.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.osmoda;
          };
        server = ./nix/hosts/server.nix;
      };

      nixosConfigurations = {
        osmoda-dev = host ./nix/hosts/dev.nix;
        osmoda-iso = host ./nix/hosts/iso.nix;
        osmoda-server = host ./nix/hosts/server.nix;
      };

      templates.default = {
        path = ./nix/template;
        description = "A server that osModa looks after, with backend `nixos`";
      };

      checks = each (
        system: pkgs:
        import ./vm-tests {
          inherit pkgs;
          inherit (self.packages.${system}) osmoda;
        }
        // {
          inherit (self.packages.${system}) osmoda;
          modules = import ./vm-tests/nixos-eval/check.nix {
            inherit pkgs;
            inherit (self.packages.${system}) osmoda;
          };
        }
      );

      apps = each (
        system: pkgs: {
          default = {
            type = "app";
            program = lib.getExe self.packages.${system}.osmoda;
          };
          dev-vm = {
            type = "app";
            program = lib.getExe self.packages.${system}.dev-vm;
          };
        }
      );

      devShells = each (
        system: pkgs: {
          default = pkgs.mkShell {
            inputsFrom = [ self.packages.${system}.osmoda ];
            packages = [
              pkgs.cargo-deny
              pkgs.cargo-machete
              pkgs.clippy
              pkgs.nixfmt-tree
              pkgs.rustfmt
            ];
            # `cargo xtask nixos-eval` judges the modules with this nixpkgs.
            OSMODA_NIXPKGS = nixpkgs;
          };
        }
      );

      formatter = each (_system: pkgs: pkgs.nixfmt-tree);
    };
}
