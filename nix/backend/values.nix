# Values of NixosConfig documents are JSON. A string that is `${pkgs.NAME}` as a whole stands for that package; inside of
# a longer string it stands for the package's path.
{ lib, pkgs }:
let
  reference = "\\$\\{pkgs\\.([A-Za-z0-9_.'-]+)}";
  package = name: lib.getAttrFromPath (lib.splitString "." name) pkgs;

  string =
    text:
    let
      parts = builtins.split reference text;
      whole = builtins.match reference text;
    in
    if whole != null then
      package (builtins.head whole)
    else if builtins.length parts == 1 then
      text
    else
      lib.concatMapStrings (part: if builtins.isList part then "${package (builtins.head part)}" else part) parts;

  # Names of packages in a value that are not in pkgs.
  missing =
    value:
    if builtins.isString value then
      lib.filter (name: !(lib.hasAttrByPath (lib.splitString "." name) pkgs)) (
        map builtins.head (lib.filter builtins.isList (builtins.split reference value))
      )
    else if builtins.isList value then
      lib.concatMap missing value
    else if builtins.isAttrs value then
      lib.concatMap missing (builtins.attrValues value)
    else
      [ ];

  resolve =
    value:
    if builtins.isString value then
      string value
    else if builtins.isList value then
      map resolve value
    else if builtins.isAttrs value then
      lib.mapAttrs (_: resolve) value
    else
      value;
in
{
  inherit missing resolve;
}
