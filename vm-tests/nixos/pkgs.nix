# A `pkgs` for NixOS without a binary cache: each package is a set of links to the files of a Debian package. Modules of
# NixOS evaluate with it anywhere; inside a machine of `cargo xtask machine up --nixos` what they name can be built, too.
#
#   nixpkgs  a tree of nixpkgs, or of its folders nixos/, lib/ and maintainers/ alone
#   release  the Debian release that the files are of
{
  nixpkgs,
  release ? (import ./release.nix).name,
  system ? "x86_64-linux",
  lib ? import (nixpkgs + "/lib"),
}:

let
  builders = import ./builders.nix { inherit lib system; };
  debian = import ./debian.nix { inherit lib builders; };
  packages = import ./packages.nix { inherit lib debian; };
  services = import ./services.nix {
    inherit
      lib
      builders
      debian
      packages
      release
      ;
  };
  absent = lib.genAttrs (import ./absent.nix) debian.absent;

  platform = lib.systems.elaborate system;
  platforms = lib.genAttrs [ "hostPlatform" "buildPlatform" "targetPlatform" ] (_: platform);

  stdenv =
    lib.filterAttrs (name: _: lib.hasPrefix "is" name) platform
    // platforms
    // {
      inherit (builders) mkDerivation;
      inherit system;
      shell = "/bin/bash";
      cc = {
        libc = packages.glibc;
        isGNU = true;
        isClang = false;
        bintools = debian.absent "binutils" // {
          dynamicLinker = "/lib64/ld-linux-x86-64.so.2";
        };
      };
    };

  self =
    absent
    // packages
    // services
    // builders
    // platforms
    // {
      _type = "pkgs";
      inherit lib stdenv system;
      path = nixpkgs;
      stdenvNoCC = stdenv;
      config.allowUnfree = false;
      formats = import ./formats.nix { inherit lib builders; };
      runtimeShell = "/bin/bash";
      runtimeShellPackage = packages.bash;

      overlays = [ ];
      appendOverlays = overlays: if overlays == [ ] then self else extend overlays;
      extend = overlay: extend [ overlay ];
      callPackage = lib.callPackageWith self;
      callPackages = lib.callPackagesWith self;
      newScope = extra: lib.callPackageWith (self // extra);

      # What is fetched in nixpkgs is not there.
      fetchurl =
        {
          name ? baseNameOf url,
          url ? "source",
          ...
        }:
        debian.absent name;
      fetchFromGitHub = { repo, ... }: debian.absent repo;
      pkgsCross = throw "vm-tests/nixos has no packages of other platforms";
    }
    // buildsForItself self;

  # One platform builds for itself.
  buildsForItself =
    packages:
    lib.genAttrs [
      "__splicedPackages"
      "buildPackages"
      "pkgsBuildBuild"
      "pkgsBuildHost"
      "pkgsStatic"
      "pkgsi686Linux"
      "targetPackages"
    ] (_: packages);

  # Overlays see the packages as they are; nothing here is defined in terms of what an overlay changes.
  extend =
    overlays:
    let
      final =
        lib.foldl' (before: overlay: before // overlay final before) self overlays
        // buildsForItself final
        // {
          pkgs = final;
          callPackage = lib.callPackageWith final;
          callPackages = lib.callPackagesWith final;
          appendOverlays = more: if more == [ ] then final else extend (overlays ++ more);
          extend = overlay: extend (overlays ++ [ overlay ]);
        };
    in
    final;
in
self // { pkgs = self; }
