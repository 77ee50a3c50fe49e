# What is wrong with a value by a JSON Schema, as a list of texts. It knows the keywords that the schemas of documents use,
# and says so when it meets another one. `osmoda validate` judges again when the system is built, and knows more.
{ lib, root }:

let
  inherit (lib)
    attrNames
    concatMap
    concatStringsSep
    elem
    findFirst
    imap0
    isAttrs
    isInt
    isList
    isString
    length
    optional
    removePrefix
    subtractLists
    ;

  silent = [
    "description"
    "title"
    "default"
    "examples"
    "format"
  ];

  show = value: builtins.toJSON (plain value);
  # Packages and paths are texts in JSON.
  plain = value: if lib.isStringLike value && !isString value then toString value else value;
  typeOf =
    value:
    {
      bool = "boolean";
      int = "integer";
      float = "number";
      string = "string";
      null = "null";
      list = "array";
      set = "object";
    }
    .${builtins.typeOf value} or "function";

  isNumber = value: isInt value || lib.isFloat value;
  fits = value: type: typeOf value == type || type == "number" && isInt value;

  resolve =
    schema:
    if schema ? "$ref" then
      resolve (removeAttrs schema [ "$ref" ] // root."$defs".${removePrefix "#/$defs/" schema."$ref"})
    else
      schema;

  near =
    name: names:
    let
      found = findFirst (known: lib.strings.levenshtein name known <= 2) null names;
    in
    if found == null then
      "the fields are ${concatStringsSep ", " names}"
    else
      "did you mean `${found}`?";

  # The branch that is meant by a value that fits none: the one with its `type`, else one of the same JSON type.
  meant =
    branches: value:
    let
      constOf = branch: (resolve branch).properties.type.const or null;
      byTag = findFirst (branch: constOf branch == value.type) null branches;
      byType = findFirst (branch: fits value ((resolve branch).type or null)) null branches;
    in
    if isAttrs value && value ? type && byTag != null then byTag else byType;

  oneOf =
    path: branches: value:
    let
      constants = concatMap (branch: optional (branch ? const) branch.const) (map resolve branches);
      tags = concatMap (branch: optional (branch ? properties.type.const) branch.properties.type.const) (
        map resolve branches
      );
      one = meant branches value;
      list = names: concatStringsSep ", " (map show names);
    in
    if lib.any (branch: check path branch value == [ ]) branches then
      [ ]
    else if constants != [ ] && !isAttrs value then
      [ "${path}: ${show value} is none of ${list constants}" ]
    else if tags != [ ] && isAttrs value && !elem (value.type or null) tags then
      [ "${path}.type: it is one of ${list tags}" ]
    else if one == null then
      [ "${path}: ${show value} does not fit" ]
    else
      check path one value;

  keywords = path: value: description: {
    type =
      wanted:
      optional (
        !lib.any (fits value) (lib.toList wanted)
      ) "${path}: ${show value} is no ${concatStringsSep " or " (lib.toList wanted)}";
    const = wanted: optional (value != wanted) "${path}: it has to be ${show wanted}";
    enum =
      wanted:
      optional (
        !elem value wanted
      ) "${path}: ${show value} is none of ${concatStringsSep ", " (map show wanted)}";
    oneOf = branches: oneOf path branches value;
    anyOf = branches: oneOf path branches value;
    pattern =
      wanted:
      optional (isString value && builtins.match wanted value == null)
        "${path}: ${show value} does not fit: ${lib.toLower (lib.substring 0 1 description)}${
          lib.substring 1 (-1) description
        }";
    minimum =
      least:
      optional (isNumber value && value < least) "${path}: ${show value} is less than ${toString least}";
    maximum =
      most:
      optional (isNumber value && value > most) "${path}: ${show value} is more than ${toString most}";
    minItems =
      least:
      optional (
        isList value && length value < least
      ) "${path}: it needs at least ${toString least} of them";
    maxItems =
      most:
      optional (isList value && length value > most) "${path}: it takes at most ${toString most} of them";
    minProperties =
      least:
      optional (
        isAttrs value && length (attrNames value) < least
      ) "${path}: it needs at least ${toString least} of them";
    items =
      schema:
      lib.optionals (isList value) (
        lib.concatLists (imap0 (i: check "${path}[${toString i}]" schema) value)
      );
    required =
      names:
      map (name: "${path}.${name}: it is missing") (
        lib.optionals (isAttrs value) (subtractLists (attrNames value) names)
      );
    properties =
      schemas:
      lib.optionals (isAttrs value) (
        concatMap (name: check "${path}.${name}" schemas.${name} value.${name}) (
          lib.intersectLists (attrNames schemas) (attrNames value)
        )
      );
  };

  additional =
    path: schema: value:
    let
      known = attrNames (schema.properties or { });
      others = lib.optionals (isAttrs value) (subtractLists known (attrNames value));
    in
    if schema.additionalProperties or true == true then
      [ ]
    else if schema.additionalProperties == false then
      map (name: "${path}.${name}: there is no field `${name}` here; ${near name known}") others
    else
      concatMap (name: check "${path}.${name}" schema.additionalProperties value.${name}) others;

  check =
    path: unresolved: raw:
    let
      schema = resolve unresolved;
      value = plain raw;
      known = keywords path value (schema.description or schema.pattern);
      apply =
        name:
        if elem name silent || name == "additionalProperties" then
          [ ]
        else
          (known.${name} or (throw "modules/lib/schema.nix does not know the keyword ${name} of JSON Schema"))
            schema.${name};
      wrongType = lib.optionals (schema ? type) (known.type schema.type);
    in
    # What has the wrong type has nothing else to be told about.
    if wrongType != [ ] then
      wrongType
    else
      concatMap apply (attrNames (removeAttrs schema [ "type" ])) ++ additional path schema value;
in
check
