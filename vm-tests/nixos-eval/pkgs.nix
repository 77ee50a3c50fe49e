# Packages to evaluate with: nixpkgs' own, or what stands for them.
{ nixpkgs, system }:

if import ./is-whole.nix nixpkgs then
  import nixpkgs {
    inherit system;
    config = { };
    overlays = [ ];
  }
else
  (import ../nixos/pkgs.nix { inherit nixpkgs system; }).appendOverlays [ (import ./stand-ins.nix) ]
