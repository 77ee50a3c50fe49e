# A daemon's unit is the one of the package, as on any other Linux; NixOS adds when it starts, where it finds programs, and
# what a changed configuration means for it.
{
  config,
  lib,
  pkgs,
}:

let
  cfg = config.services.osmoda;
in
{
  # The package's units of these names, and nothing else of it: what is not enabled is not there.
  units =
    names:
    pkgs.runCommand "osmoda-units" { } ''
      mkdir -p $out/lib/systemd/system
      for unit in ${toString names}; do
        test -e ${cfg.package}/lib/systemd/system/$unit
        ln -s ${cfg.package}/lib/systemd/system/$unit $out/lib/systemd/system/
      done
    '';

  service =
    { log, ... }:
    {
      wantedBy = [ "multi-user.target" ];
      # One restart at the end of an activation, when all of /etc is new, in the place of a stop before and a start after.
      stopIfChanged = false;
      environment = lib.optionalAttrs (log != null) { OSMODA_LOG = log; };
    };

  # They read agentd's configuration when they start.
  configured = {
    restartTriggers = [ config.environment.etc."osmoda/agentd.yaml".source ];
  };
}
