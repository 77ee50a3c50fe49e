# Types that options of different files share. What documents and agentd know, too, is read from their schema.
{ lib }:

let
  schema = lib.importJSON ../../schemas/json/osmoda.schema.json;
  constants = name: map (branch: branch.const) schema."$defs".${name}.oneOf;
  described = description: type: type // { inherit description; };
in
{
  inherit schema;

  kinds = map (branch: branch.const) schema.properties.kind.oneOf;
  remedies = constants "Remedy";

  duration = described "duration, such as `500ms`, `30s`, `5m`, `1h30m` or `7d`" (
    lib.types.strMatching schema."$defs".Duration.pattern
  );

  # A path literal would be copied to the store, and stay as it is today.
  path = described "absolute path, written as a string" (lib.types.strMatching "/.*");

  optionPrefix =
    let
      name = ''([a-zA-Z0-9_'-]+|"[^"\$]+")'';
    in
    described "path of NixOS options, such as `services.postgresql`" (
      lib.types.strMatching ''${name}(\.${name})*''
    );

  log = lib.mkOption {
    type = lib.types.nullOr lib.types.str;
    default = null;
    example = "osmoda_agentd=debug,info";
    description = ''
      What it logs, as `OSMODA_LOG`: a level, or levels of its parts. Null is `info`.
    '';
  };
}
