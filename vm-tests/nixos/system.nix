# The NixOS of `cargo xtask machine up --nixos`. In the machine etc/system.nix calls it, which is /etc/nixos/system.nix and
# what the backend's `nixos.system` names.
#
#   nixpkgs  a tree of nixpkgs, or of its folders nixos/ and lib/ alone
#   modules  what the system has besides machine.nix
{
  nixpkgs,
  modules ? [ ],
  pkgs ? import ./pkgs.nix { inherit nixpkgs; },
}:

import (nixpkgs + "/nixos/lib/eval-config.nix") {
  inherit pkgs;
  inherit (pkgs) lib;
  system = null;
  modules = [ ./machine.nix ] ++ modules;
}
