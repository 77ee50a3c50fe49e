# This machine as one module: `nixos.configuration`, with `nixos.nixpkgs: /etc/nixos/nixpkgs`.
{
  imports = [
    ./source/vm-tests/nixos/machine.nix
    ./all.nix
  ];
  nixpkgs.pkgs = import ./source/vm-tests/nixos/pkgs.nix { nixpkgs = ./nixpkgs; };
}
