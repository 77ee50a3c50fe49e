# What is there, and what is not.
{ package, pkgs, ... }:

let
  agentd = [
    "osmoda-agentd.service"
    "osmoda-boot.service"
  ];
  witness = [
    "osmoda-witness.service"
    "osmoda-witness.socket"
  ];
in
{
  "off, nothing of it is there" = {
    module.services.osmoda.enable = false;
    units = [ ];
    etc = [ ];
    programs = 0;
    generator = false;
  };

  "on, everything is there" = {
    module = { };
    units =
      agentd
      ++ [
        "osmoda-routines.service"
        "osmoda-watch.service"
      ]
      ++ witness;
    etc = [
      "osmoda/agentd.yaml"
      "osmoda/desired.d"
    ];
    programs = 1;
    generator = true;
  };

  "without osmoda-watch" = {
    module.services.osmoda.watch.enable = false;
    units = agentd ++ [ "osmoda-routines.service" ] ++ witness;
  };

  "without osmoda-routines" = {
    module.services.osmoda.routines.enable = false;
    units = agentd ++ [ "osmoda-watch.service" ] ++ witness;
  };

  "without the witness" = {
    module.services.osmoda.witness.enable = false;
    units = agentd ++ [
      "osmoda-routines.service"
      "osmoda-watch.service"
    ];
  };

  "the controller alone" = {
    module.services.osmoda = {
      watch.enable = false;
      routines.enable = false;
      witness.enable = false;
    };
    units = agentd;
  };

  "daemons log what one asks them to" = {
    module.services.osmoda = {
      agentd.log = "debug";
      watch.log = "osmoda_watch=trace,info";
      routines.log = "warn";
      witness.log = "error";
    };
    environment = {
      "osmoda-agentd.service" = "OSMODA_LOG=debug";
      "osmoda-watch.service" = "OSMODA_LOG=osmoda_watch=trace,info";
      "osmoda-routines.service" = "OSMODA_LOG=warn";
      "osmoda-witness.service" = "OSMODA_LOG=error";
    };
  };

  "another package brings its own units" = {
    module.services.osmoda.package = pkgs.runCommand "osmoda-other" { } ''
      mkdir -p $out/lib/systemd/system
      for unit in ${../../../nix/units}/*; do
        substitute $unit $out/lib/systemd/system/$(basename $unit) --replace-quiet /usr/lib/osmoda $out/lib/osmoda
      done
    '';
    programs = 1;
  };

  "without a package, that of an overlay is taken" = {
    bare = true;
    module.nixpkgs.overlays = [ (_: _: { osmoda = package; }) ];
    programs = 1;
  };
}
