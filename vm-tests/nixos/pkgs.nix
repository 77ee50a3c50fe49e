# A `pkgs` for NixOS without a binary cache: each package is a set of links to the files of a Debian package. Modules of
# NixOS evaluate with it anywhere; inside a machine of `cargo xtask machine up --nixos` what they name can be built, too.
#
#   nixpkgs  a tree of nixpkgs, or of its folders nixos/ and lib/ alone
#   release  the Debian release that the files are of
{
  nixpkgs,
  release ? (import ./release.nix).name,
  system ? "x86_64-linux",
  lib ? import (nixpkgs + "/lib"),
}:

let
  builders = import ./builders.nix { inherit lib system; };
  debian = import ./packages.nix { inherit lib builders release; };
  services = import ./services.nix { inherit lib builders debian release; };
  absent = lib.genAttrs (import ./absent.nix) debian.absent;

  platform = lib.systems.elaborate system;

  stdenv = lib.filterAttrs (name: _: lib.hasPrefix "is" name) platform // {
    inherit (builders) mkDerivation;
    inherit system;
    hostPlatform = platform;
    buildPlatform = platform;
    targetPlatform = platform;
    shell = "/bin/bash";
    cc = {
      libc = debian.plain.glibc;
      isGNU = true;
      isClang = false;
      bintools = debian.absent "binutils" // {
        dynamicLinker = "/lib64/ld-linux-x86-64.so.2";
      };
    };
  };

  self =
    absent
    // debian.plain
    // services
    // builders
    // {
      _type = "pkgs";
      inherit lib stdenv system;
      path = nixpkgs;
      stdenvNoCC = stdenv;
      config = { allowUnfree = false; };
      overlays = [ ];
      appendOverlays = overlays: if overlays == [ ] then self else extend overlays;
      extend = overlay: extend [ overlay ];
      __splicedPackages = self;
      buildPackages = self;
      pkgsBuildBuild = self;
      pkgsBuildHost = self;
      targetPackages = self;
      systemdMinimal = services.systemd;
      systemdUkify = services.systemd;
      shadow = debian.plain.shadow // { su = debian.plain.shadow; };
      linux-pam = debian.plain.pam;
      linuxPackages_latest = services.linuxPackages;
      runtimeShell = "/bin/bash";
      runtimeShellPackage = debian.plain.bash;
      pkgsStatic = self;
      pkgsi686Linux = self;
      unixtools = lib.genAttrs [ "xxd" "ifconfig" "netstat" "ping" "route" ] debian.absent;
      pkgsCross = throw "vm-tests/nixos has no packages of other platforms";
      hostPlatform = platform;
      buildPlatform = platform;
      targetPlatform = platform;
      formats = import ./formats.nix { inherit lib builders; };
      callPackage = lib.callPackageWith self;
      callPackages = lib.callPackagesWith self;
      newScope = extra: lib.callPackageWith (self // extra);
      cacert = debian.plain.cacert // { p11kit = debian.plain.cacert; override = _: self.cacert; };
      fetchurl = { name ? baseNameOf url, url ? "source", ... }: debian.absent name;
      fetchFromGitHub = { repo, ... }: debian.absent repo;
    };

  # Overlays see the packages as they are; nothing here is defined in terms of what an overlay changes.
  extend =
    overlays:
    let
      final = lib.foldl' (before: overlay: before // overlay final before) self overlays // {
        pkgs = final;
        __splicedPackages = final;
      };
    in
    final;
in
self // { pkgs = self; }
