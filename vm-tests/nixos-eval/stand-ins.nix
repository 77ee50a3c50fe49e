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
        ] (_: self);
    in
    self;

  kernel =
    let
      self = named "linux" // {
        version = "6.12";
        modDirVersion = "6.12";
        features = { };
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
in
lib.genAttrs (lib.filter (name: !before ? ${name}) (import ./absent.nix)) named
// {
  linuxPackages = kernels;
  linuxPackages_latest = kernels;
}
