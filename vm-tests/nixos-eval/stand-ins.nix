# An overlay for shims of packages: names that hosts with a kernel of their own mention, and the tests that NixOS's driver
# runs. They stand for packages that are not there, so that systems and tests can be evaluated, and never be built.
_final: before:

let
  inherit (before) lib;

  named =
    name:
    let
      self =
        derivation {
          inherit name;
          inherit (before) system;
          builder = "/bin/false";
        }
        // {
          inherit name;
          inherit (before) stdenv;
          pname = name;
          version = "0";
          meta = { };
          passthru = { };
          override = _: self;
          overrideAttrs = _: self;
          overrideDerivation = _: self;
        }
        // lib.genAttrs [
          "out"
          "bin"
          "lib"
          "dev"
          "man"
          "doc"
          "info"
          "data"
          "fd"
        ] (_: self);
    in
    self;

  kernel =
    let
      self = named "linux" // {
        version = "6.12";
        modDirVersion = "6.12";
        features.efiBootStub = true;
        config = lib.genAttrs [
          "isYes"
          "isNo"
          "isModule"
          "isEnabled"
          "isDisabled"
          "isSet"
        ] (_: _: true);
        override = _: self;
        inherit (before) stdenv;
      };
    in
    self;

  kernels = lib.makeExtensible (_: {
    inherit kernel;
    inherit (before) stdenv;
    kernelAtLeast = _: true;
    kernelOlder = _: false;
    zfs = named "zfs-kernel";
  });
  qemu = named "qemu" // {
    ga = named "qemu-ga";
  };
in
lib.genAttrs (lib.filter (name: !before ? ${name}) (import ./absent.nix)) named
// {
  linuxPackages = kernels;
  linuxPackages_latest = kernels;
  makeInitrd =
    _:
    named "initrd"
    // {
      compressorExecutableFunction = _: "zstd";
      compressorArgs = [ ];
    };
  compressFirmwareZstd = lib.id;
  makeFontsCache = _: named "fonts";
  vim = named "vim" // {
    customize = _: named "vim";
  };
  aggregateModules = _: named "modules";
  nixos-artwork.wallpapers.simple-dark-gray-bootloader.gnomeFilePath = "/splash.png";
  # An installer carries it along.
  stdenv = named "stdenv" // before.stdenv;
  stdenvNoCC = named "stdenv" // before.stdenv;
  grub2_efi = named "grub" // {
    grubTarget = "x86_64-efi";
  };
  OVMF =
    let
      self = named "OVMF" // {
        systemManagementModeRequired = false;
        firmware = "/firmware";
        variables = "/variables";
        override = _: self // { fd = self; };
      };
    in
    self;
  xorg = before.xorg // {
    xwininfo = named "xwininfo";
  };
  mkShell = _: named "shell";
  rustPlatform.buildRustPackage = package: named package.pname;
  nixosTests = { };
  # Of NixOS's test driver, which a test is built with.
  python3Packages = {
    buildPythonApplication = package: named package.pname;
    pyflakes = named "pyflakes";
  };
  srcOnly = _: named "source-of-a-package";
  zfs = named "zfs" // {
    kernelModuleAttribute = "zfs";
  };
  qemu_kvm = qemu;
  qemu_test = qemu;
}
