# What is wrong with option values of NixosConfig documents, by the options of the operator's system. Nothing is built,
# and no other option is evaluated. The answer is a list of
#   { document, option, problem, at, ... }
# with the indexes of document and option, what is wrong, and the path where.
{
  # A JSON file: [ { options = [ { path = [ NAME... ]; value = ...; } ... ]; packages = [ ATTRIBUTE... ]; } ... ].
  documents,
  # Where the operator's system is described: the arguments of base.nix.
  source,
}:
let
  base = import ./base.nix source;
  inherit (base) pkgs;
  inherit (pkgs) lib;
  values = import ./values.nix { inherit lib pkgs; };

  wrong = at: problem: more: [ ({ inherit at problem; } // more) ];

  # A value at a path of the tree of options.
  inTree =
    tree: at: rest: value:
    if lib.isOption tree then
      option tree at rest value
    else if rest != [ ] then
      let
        name = builtins.head rest;
      in
      if tree ? ${name} then
        inTree tree.${name} (at ++ [ name ]) (builtins.tail rest) value
      else
        wrong (at ++ [ name ]) "missing" { names = names tree; }
    else if builtins.isAttrs value then
      # A set of options: each by itself.
      lib.concatLists (lib.mapAttrsToList (name: inner: inTree tree at [ name ] inner) value)
    else
      wrong at "group" { names = names tree; };

  names = tree: lib.filter (name: name != "_module") (builtins.attrNames tree);

  option =
    found: at: inside: value:
    if found.readOnly or false then
      wrong at "readOnly" { }
    else
      ofType found.type at (if inside == [ ] then value else lib.setAttrByPath inside value);

  # As far as a type tells without evaluating anything else.
  ofType =
    type: at: value:
    let
      nested = type.nestedTypes or { };
      mismatch = wrong at "type" { type = type.description; };
      each =
        elements:
        if type ? nestedTypes.elemType then
          lib.concatMap ({ name, value }: ofType nested.elemType (at ++ [ name ]) value) elements
        else
          [ ];
      # One of several types: the problems of the one that fits best, if none fits.
      oneOf =
        types:
        let
          results = map (one: ofType one at value) types;
        in
        if lib.any (result: result == [ ]) results then
          [ ]
        else
          lib.findFirst (result: lib.any (problem: problem.at != at) result) mismatch results;
    in
    # A text that begins with a slash would be imported as a module, with all that Nix can do.
    if canBeModule type && builtins.isString value && lib.hasPrefix "/" value then
      mismatch
    else if type.name == "deferredModule" then
      wrong at "module" { }
    else if type.name == "nullOr" then
      if value == null then [ ] else ofType nested.elemType at value
    else if type.name == "listOf" then
      if builtins.isList value then
        each (lib.imap0 (i: inner: lib.nameValuePair (toString i) inner) value)
      else
        mismatch
    else if type.name == "attrsOf" || type.name == "lazyAttrsOf" then
      if builtins.isAttrs value && !lib.isDerivation value then each (lib.attrsToList value) else mismatch
    else if type.name == "submodule" then
      if builtins.isAttrs value then
        lib.concatLists (lib.mapAttrsToList (inSubmodule type at (type.getSubOptions at)) value)
      else
        mismatch
    else if type.name == "either" then
      oneOf [
        nested.left
        nested.right
      ]
    else if type.name == "coercedTo" then
      oneOf [
        nested.coercedType
        nested.finalType
      ]
    else if type.check (values.resolve value) then
      [ ]
    else
      mismatch;

  # True of types that take modules, by themselves or among others.
  canBeModule =
    type:
    let
      nested = type.nestedTypes or { };
    in
    type.name == "submodule"
    || type.name == "deferredModule"
    || (
      lib.elem type.name [
        "nullOr"
        "either"
        "coercedTo"
      ]
      && lib.any canBeModule (
        lib.filter (inner: inner != null) [
          (nested.elemType or null)
          (nested.left or null)
          (nested.right or null)
          (nested.coercedType or null)
          (nested.finalType or null)
        ]
      )
    );

  inSubmodule =
    type: at: options: name: value:
    if
      lib.elem name [
        "_module"
        "imports"
        "disabledModules"
        "freeformType"
      ]
      && !(options ? ${name})
    then
      wrong (at ++ [ name ]) "module" { }
    else if options ? ${name} then
      inTree options.${name} (at ++ [ name ]) [ ] value
    else if type ? nestedTypes.freeformType then
      let
        free = type.nestedTypes.freeformType;
        element = free.nestedTypes.elemType or null;
      in
      if element == null then [ ] else ofType element (at ++ [ name ]) value
    else
      wrong (at ++ [ name ]) "missing" { names = names options; };

  check =
    { path, value }:
    let
      packages = values.missing value;
      result =
        if packages != [ ] then
          wrong path "package" { names = packages; }
        else
          inTree base.options [ ] path value;
      told = builtins.tryEval (builtins.deepSeq result result);
    in
    if told.success then told.value else wrong path "unknown" { };
in
lib.concatLists (
  lib.imap0 (
    document:
    {
      options ? [ ],
      packages ? [ ],
      ...
    }:
    lib.concatLists (
      lib.imap0 (
        option: given: map (problem: problem // { inherit document option; }) (check given)
      ) options
      ++ lib.imap0 (
        option: name:
        lib.optionals (!values.usable name) (
          map (problem: problem // { inherit document option; }) (wrong [ ] "package" { names = [ name ]; })
        )
      ) packages
    )
  ) (builtins.fromJSON (builtins.readFile documents))
)
