# pkgs.osmoda
final: _previous: {
  osmoda = final.callPackage ./package.nix { };
}
