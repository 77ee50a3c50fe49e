# The module that makes a rendered generation a part of a NixOS system: its units, the options of its NixosConfig
# documents, and a link `osmoda` to the generation, by which everybody finds it.
{ generation }:
let
  inherit (builtins)
    attrNames
    filter
    fromJSON
    match
    pathExists
    readDir
    readFile
    unsafeDiscardStringContext
    ;

  entries = folder: if pathExists folder then readDir folder else { };
  units = entries "${generation}/units";
  isWants = name: match ".*\\.wants" name != null;

  # Which targets want a unit.
  wants = map (folder: {
    target = builtins.substring 0 (builtins.stringLength folder - 6) folder;
    units = attrNames (readDir "${generation}/units/${folder}");
  }) (filter isWants (attrNames units));
  wantedBy = unit: map (want: want.target) (filter (want: builtins.elem unit want.units) wants);

  # A file of the store comes with all that the generation refers to, an app's files for example, which fromJSON refuses;
  # the link `osmoda` keeps that alive.
  document = file: fromJSON (unsafeDiscardStringContext (readFile "${generation}/etc/nixos/${file}"));
  documents = map document (attrNames (entries "${generation}/etc/nixos"));
in
{ lib, pkgs, ... }:
let
  values = import ./values.nix { inherit lib pkgs; };
in
{
  _file = "osModa's generation";

  imports = map (
    document:
    { lib, pkgs, ... }:
    let
      values = import ./values.nix { inherit lib pkgs; };
    in
    {
      # By this name NixOS tells which document it does not like.
      _file = "NixosConfig/${document.name}";
      config = lib.mkMerge (
        map (option: lib.setAttrByPath option.path (values.resolve option.value)) document.options
      );
    }
  ) documents;

  config = {
    systemd.units = lib.genAttrs (filter (name: !isWants name) (attrNames units)) (name: {
      text = values.unit (readFile "${generation}/units/${name}");
      wantedBy = wantedBy name;
    });
    system.extraSystemBuilderCmds = ''
      ln -s ${generation} $out/osmoda
    '';
  };
}
