# Packages in documents. Values of NixosConfig are JSON: a string that is `${pkgs.NAME}` as a whole stands for that package,
# and inside of a longer string for the package's path. In units of apps `/@pkgs.NAME@` stands for the path.
{ lib, pkgs }:
let
  names = "[A-Za-z0-9_.'-]+";
  reference = "\\$\\{pkgs\\.(${names})}";
  folder = "/@pkgs\\.(${names})@";

  path = lib.splitString ".";
  package = name: lib.getAttrFromPath (path name) pkgs;
  has = name: lib.hasAttrByPath (path name) pkgs;

  interpolate =
    pattern: text:
    lib.concatMapStrings (
      part: if builtins.isList part then "${package (builtins.head part)}" else part
    ) (builtins.split pattern text);

  string =
    text:
    let
      whole = builtins.match reference text;
    in
    if whole != null then package (builtins.head whole) else interpolate reference text;

  # Names of packages in a value that are not in pkgs.
  missing =
    value:
    if builtins.isString value then
      lib.filter (name: !has name) (
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
  inherit has missing resolve;
  unit = interpolate folder;
}
