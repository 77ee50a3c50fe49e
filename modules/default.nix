# services.osmoda: the controller, its daemons and its documents. One file a subject; a new daemon is a new file here, and
# an option exists from the day on which something reads it.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.osmoda;
in
{
  imports = [
    ./agentd.nix
    ./authors.nix
    ./backend.nix
    ./desired.nix
    ./keyd.nix
    ./routines.nix
    ./secrets.nix
    ./watch.nix
    ./witness.nix
  ];

  options.services.osmoda = {
    enable = lib.mkEnableOption "osModa: the controller, and its daemons osmoda-watch, osmoda-routines and osmoda-witness";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.osmoda or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalExpression "pkgs.osmoda";
      description = ''
        osModa itself. Its units, its programs and `osmoda` come from here.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
  };
}
