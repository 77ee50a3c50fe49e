# This machine as a system: `nixos.system` of agentd's configuration.
import ./source/vm-tests/nixos/system.nix {
  nixpkgs = ./nixpkgs;
  modules = [ ./all.nix ];
}
