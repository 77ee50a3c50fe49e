# `pkgs.formats`: the type of a file's content, and how it is written. YAML is written as JSON, which it contains.
{ lib, builders }:

let
  inherit (lib) types;
  inherit (builders) runCommand writeText;

  # Whatever JSON can say.
  value =
    description:
    let
      self =
        types.nullOr (
          types.oneOf [
            types.bool
            types.int
            types.float
            types.str
            types.path
            (types.attrsOf self)
            (types.listOf self)
          ]
        )
        // {
          inherit description;
        };
    in
    self;

  json = _: {
    type = value "JSON value";
    generate =
      name: content:
      runCommand name {
        text = builtins.toJSON content;
        passAsFile = [ "text" ];
      } ''/usr/bin/python3 -m json.tool --no-ensure-ascii "$textPath" "$out"'';
  };

  atom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
    ]
  );

  atomOrList =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      ...
    }:
    if listsAsDuplicateKeys || listToValue != null then types.either atom (types.listOf atom) else atom;

  # Lists become one word, where a program reads them so.
  words =
    listToValue:
    lib.mapAttrsRecursiveCond (v: !lib.isDerivation v) (
      _: v: if builtins.isList v && listToValue != null then listToValue v else v
    );

  ini =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      ...
    }@arguments:
    {
      type = types.attrsOf (types.attrsOf (atomOrList arguments));
      lib.types.atom = atom;
      generate =
        name: content:
        writeText name (
          lib.generators.toINI (
            {
              inherit listsAsDuplicateKeys;
            }
            // removeAttrs arguments [
              "listToValue"
              "listsAsDuplicateKeys"
              "atomsCoercedToLists"
            ]
          ) (words listToValue content)
        );
    };

  # The part of TOML that is needed to write any value: keys quoted as in JSON, tables inline below the first level.
  toml =
    _:
    let
      inline =
        v:
        if builtins.isAttrs v && !(v ? outPath) then
          "{ ${
            lib.concatStringsSep ", " (
              lib.mapAttrsToList (k: x: "${builtins.toJSON k} = ${inline x}") (present v)
            )
          } }"
        else if builtins.isList v then
          "[ ${lib.concatMapStringsSep ", " inline v} ]"
        else
          builtins.toJSON v;
      present = lib.filterAttrs (_: v: v != null);
      isTable = v: builtins.isAttrs v && !(v ? outPath);
      line = k: v: "${builtins.toJSON k} = ${inline v}\n";
    in
    {
      type = value "TOML value";
      generate =
        name: content:
        let
          parts = lib.partition (k: isTable content.${k}) (lib.attrNames (present content));
        in
        writeText name (
          lib.concatMapStrings (k: line k content.${k}) parts.wrong
          + lib.concatMapStrings (
            k: "[${builtins.toJSON k}]\n" + lib.concatStrings (lib.mapAttrsToList line (present content.${k}))
          ) parts.right
        );
    };
in
{
  inherit json ini toml;
  yaml = json;
  yaml_1_1 = json;
  yaml_1_2 = json;

  iniWithGlobalSection = arguments: {
    type = types.submodule {
      options.sections = lib.mkOption {
        type = (ini arguments).type;
        default = { };
      };
      options.globalSection = lib.mkOption {
        type = types.attrsOf (atomOrList arguments);
        default = { };
      };
    };
    lib.types.atom = atom;
    generate =
      name: content:
      writeText name (
        lib.generators.toINIWithGlobalSection (removeAttrs arguments [
          "listToValue"
          "atomsCoercedToLists"
        ]) content
      );
  };

  gitIni = _: {
    type = types.attrsOf (
      types.attrsOf (types.either atom (types.either (types.listOf atom) (types.attrsOf atom)))
    );
    generate = name: content: writeText name (lib.generators.toGitINI content);
  };

  keyValue =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      ...
    }@arguments:
    {
      type = types.attrsOf (atomOrList arguments);
      lib.types.atom = atom;
      generate =
        name: content:
        writeText name (
          lib.generators.toKeyValue (
            {
              inherit listsAsDuplicateKeys;
            }
            // removeAttrs arguments [
              "listToValue"
              "listsAsDuplicateKeys"
            ]
          ) (words listToValue content)
        );
    };

  systemd = {
    type = types.attrsOf (types.attrsOf (types.either atom (types.listOf atom)));
    generate =
      name: content: writeText name (lib.generators.toINI { listsAsDuplicateKeys = true; } content);
  };

  elixirConf = _: throw "vm-tests/nixos has no format elixirConf";
  javaProperties = _: {
    type = types.attrsOf types.str;
    generate = name: content: writeText name (lib.generators.toKeyValue { } content);
  };
  pythonVars = _: {
    type = types.attrsOf (value "Python value");
    generate =
      name: content:
      writeText name (
        lib.concatStrings (lib.mapAttrsToList (k: v: "${k} = ${builtins.toJSON v}\n") content)
      );
  };
  lua = _: {
    type = value "Lua value";
    generate = name: content: writeText name ("return " + lib.generators.toLua { } content);
  };
}
