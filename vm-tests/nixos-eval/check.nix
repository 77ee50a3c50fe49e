# The module evaluation suite as a check of the flake: assertions say what is expected of them, and osModa takes the documents
# of all other cases.
{ pkgs, osmoda }:

let
  inherit (pkgs) lib;
  inherit
    (import ./. {
      inherit pkgs;
      inherit (pkgs.stdenv.hostPlatform) system;
      nixpkgs = pkgs.path;
      package = osmoda;
    })
    outcomes
    ;
  isAsExpected =
    outcome:
    if outcome.expected ? refused then
      lib.any (lib.hasInfix outcome.expected.refused) outcome.refused
    else
      outcome.refused == [ ];
  wrong = lib.attrNames (lib.filterAttrs (_: outcome: !isAsExpected outcome) outcomes);
  accepted = lib.filter (outcome: outcome.refused == [ ] && outcome.folder != null) (
    lib.attrValues outcomes
  );
in
if wrong == [ ] then
  pkgs.runCommand "osmoda-modules" { folders = map (outcome: outcome.folder) accepted; } "touch $out"
else
  throw "these do not do what is expected: ${lib.concatStringsSep "; " wrong}"
