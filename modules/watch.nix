# osmoda-watch: watchers, and the API of switches.
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
in
{
  options.services.osmoda.watch = {
    enable =
      lib.mkEnableOption "osmoda-watch, which carries out watchers and serves the API of switches"
      // {
        default = true;
        example = false;
      };
    log = types.log;
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf cfg.watch.enable {
        systemd.packages = [ (daemon.units [ "osmoda-watch.service" ]) ];
        systemd.services.osmoda-watch = lib.mkMerge [
          (daemon.service cfg.watch)
          daemon.configured
        ];
      })
      {
        assertions = [
          {
            assertion = cfg.watch.enable || cfg.desired.Watcher == { };
            message = ''
              services.osmoda.desired.Watcher has documents, and osmoda-watch, which carries them out, is off. Set
              services.osmoda.watch.enable = true, or leave them out.
            '';
          }
        ];
      }
    ]
  );
}
