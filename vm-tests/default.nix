# Tests in virtual machines of NixOS (https://nixos.org/manual/nixos/stable/#sec-nixos-tests): a set of derivations. What
# happens is told in stories/, in the words of lib/osmoda.py.
{
  pkgs,
  osmoda ? pkgs.callPackage ../nix/package.nix { },
}:

let
  inherit (pkgs) lib;
  nixos = import (pkgs.path + "/nixos/lib") { inherit lib; };

  test =
    module:
    nixos.runTest {
      imports = [ module ];
      hostPkgs = pkgs;
      defaults = import ./lib/node.nix { inherit osmoda; };
      _module.args = {
        inherit osmoda;
        # A story, with the words before it.
        story = name: constants: ''
          ${lib.concatLines (
            lib.mapAttrsToList (constant: value: "${constant} = ${builtins.toJSON value}") (
              { PYTHON = lib.getExe pkgs.python3; } // constants
            )
          )}
          ${builtins.readFile ./lib/osmoda.py}

          ${builtins.readFile (./stories + "/${name}.py")}
        '';
      };
      meta.timeout = 1800;
    };
in
lib.mapAttrs (_: test) {
  boot = ./boot.nix;
  ledger = ./ledger.nix;
  power-cut = ./power-cut.nix;
  switch = ./switch.nix;
  upgrade = ./upgrade.nix;
  watcher = ./watcher.nix;
}
