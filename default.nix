# Without flakes:
#
#   nix-build -A osmoda                                                  the package
#   imports = [ (import /path/to/this {}).nixosModules.default ];        in a configuration.nix
#   nix-build -A tests.boot                                              a test in virtual machines
#
# `pkgs` has to have Rust 1.95 or later, such as that of nixos-unstable.
{
  pkgs ? import <nixpkgs> { },
}:

let
  osmoda = pkgs.callPackage ./nix/package.nix { };
in
{
  inherit osmoda;
  overlays.default = import ./nix/overlay.nix;
  nixosModules.default =
    { lib, ... }:
    {
      imports = [ ./modules ];
      services.osmoda.package = lib.mkDefault osmoda;
    };
  tests = import ./vm-tests { inherit pkgs; };
}
