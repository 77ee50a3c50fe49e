# Packages in documents. Values of NixosConfig are JSON: a string that is `${pkgs.NAME}` as a whole stands for that package,
# and inside of a longer string for the package's path. In units of apps `/@pkgs.NAME@` stands for the path; no text of a
# document contains that.
{ lib, pkgs }:
let
  names = "[A-Za-z0-9_.'-]+";
  reference = "\\$\\{pkgs\\.(${names})}";
  folder = "/@pkgs\\.(${names})@";

  path = lib.splitString ".";

  # Whatever else pkgs has (functions, descriptions, other sets) is nothing that a document may name, and neither is what
  # this system would not build: unfree, broken, an alias that throws.
  usable =
    name:
    let
      found = lib.attrByPath (path name) null pkgs;
      told = builtins.tryEval (
        lib.isDerivation found && builtins.match "/[^\n]*" (toString found.outPath) != null
      );
    in
    told.success && told.value;

  package =
    name:
    if usable name then
      lib.getAttrFromPath (path name) pkgs
    else
      throw "a document names pkgs.${name}, which is no package of this system";

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

  # Names of packages in a value that are none.
  missing =
    value:
    if builtins.isString value then
      lib.filter (name: !usable name) (
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
  inherit missing resolve usable;
  unit = interpolate folder;
}
