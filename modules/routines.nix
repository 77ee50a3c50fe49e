# osmoda-routines: routines that events and webhooks trigger, and their API. Those by time are timers of systemd.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.osmoda;
  types = import ./lib/types.nix { inherit lib; };
  daemon = import ./lib/daemon.nix { inherit config lib pkgs; };
  needsDaemon =
    routine:
    lib.elem (routine.spec.trigger.type or null) [
      "event"
      "webhook"
    ];
in
{
  options.services.osmoda.routines = {
    enable =
      lib.mkEnableOption "osmoda-routines, which starts the routines that events and webhooks trigger, and serves their API"
      // {
        default = true;
        example = false;
      };
    log = types.log;
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf cfg.routines.enable {
        systemd.packages = [ (daemon.units [ "osmoda-routines.service" ]) ];
        systemd.services.osmoda-routines = lib.mkMerge [
          (daemon.service cfg.routines)
          daemon.configured
        ];
      })
      {
        assertions = lib.mapAttrsToList (name: routine: {
          assertion = cfg.routines.enable || !needsDaemon routine;
          message = ''
            services.osmoda.desired.Routine.${name} is triggered by an event or a webhook, and osmoda-routines, which
            listens for those, is off. Set services.osmoda.routines.enable = true, or give it another trigger.
          '';
        }) cfg.desired.Routine;
      }
    ]
  );
}
