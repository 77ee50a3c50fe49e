# osmoda-witness: cosigns the ledger's checkpoints, as a user who may not write the ledger.
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
  options.services.osmoda.witness = {
    enable =
      lib.mkEnableOption "osmoda-witness, which cosigns the ledger's checkpoints as a user of its own, so that a rewritten ledger shows"
      // {
        default = true;
        example = false;
      };
    log = types.log;
  };

  config = lib.mkIf (cfg.enable && cfg.witness.enable) {
    systemd.packages = [
      (daemon.units [
        "osmoda-witness.service"
        "osmoda-witness.socket"
      ])
    ];
    systemd.services.osmoda-witness = daemon.service cfg.witness;
    systemd.sockets.osmoda-witness.wantedBy = [ "sockets.target" ];
  };
}
