# The controller: its configuration file, its unit, and the unit that comes before everything of osModa's at boot.
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
  json = pkgs.formats.json { };
in
{
  options.services.osmoda = {
    reconcile = lib.mkOption {
      type = lib.types.enum [
        "auto"
        "manual"
      ];
      default = "auto";
      description = ''
        Whether changes of documents are applied when they are seen, or only on `osmoda apply`.
      '';
    };

    debounce = lib.mkOption {
      type = types.duration;
      default = "20ms";
      example = "1s";
      description = ''
        How long a burst of file events is waited out, at most.
      '';
    };

    resync = lib.mkOption {
      type = types.duration;
      default = "5m";
      example = "1h";
      description = ''
        How often everything is compared although nothing seems to have happened.
      '';
    };

    sources = lib.mkOption {
      type = lib.types.listOf types.path;
      default = [
        "/var/lib/osmoda/desired"
        "/etc/osmoda/desired.d"
      ];
      description = ''
        Folders of documents. The owner of a file is the author of its objects. `/etc/osmoda/desired.d` is where
        `services.osmoda.desired` goes.
      '';
    };

    safeSwitch = {
      ttl = lib.mkOption {
        type = types.duration;
        default = "30s";
        example = "5m";
        description = ''
          How long all health gates have to pass before a switch is committed. Documents and `osmoda apply` may ask for
          more.
        '';
      };

      interval = lib.mkOption {
        type = types.duration;
        default = "5s";
        description = ''
          Time between two rounds of probes.
        '';
      };

      activationTimeout = lib.mkOption {
        type = types.duration;
        default = "2m";
        description = ''
          Time that stopping and starting units may take in all; after that the switch is rolled back.
        '';
      };
    };

    massDelete = {
      share = lib.mkOption {
        type = lib.types.numbers.between 0 1;
        default = 0.5;
        description = ''
          When a reload would delete more than this share of all objects at once, it is held until somebody says yes.
        '';
      };

      minimum = lib.mkOption {
        type = lib.types.ints.unsigned;
        default = 3;
        description = ''
          Fewer deletions than this are never held.
        '';
      };
    };

    agentd.log = types.log;
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion =
          lib.all (objects: objects == { }) (lib.attrValues cfg.desired)
          || lib.elem "/etc/osmoda/desired.d" cfg.sources;
        message = ''
          services.osmoda.sources does not contain "/etc/osmoda/desired.d", so nobody would read what
          services.osmoda.desired says. Add it, or leave services.osmoda.sources out.
        '';
      }
    ];

    environment.etc."osmoda/agentd.yaml".source = json.generate "agentd.yaml" (
      {
        inherit (cfg)
          reconcile
          debounce
          resync
          sources
          safeSwitch
          massDelete
          backend
          authors
          ;
      }
      // lib.optionalAttrs (cfg.backend == "nixos") {
        nixos = lib.filterAttrs (_: value: value != null) cfg.nixos;
      }
    );

    # Sockets are this group's, so that authors may be let in; nobody is in it by itself.
    users.groups.osmoda = { };

    systemd.packages = [
      (daemon.units [
        "osmoda-agentd.service"
        "osmoda-boot.service"
      ])
    ];

    systemd.services.osmoda-agentd = lib.mkMerge [
      (daemon.service cfg.agentd)
      daemon.configured
    ];

    # It closes what a reboot cut off. A switch of this boot may be the one that brings a new version of it: that one has
    # to go on, and so have the daemons, which would be stopped with it.
    systemd.services.osmoda-boot = {
      wantedBy = [ "multi-user.target" ];
      restartIfChanged = false;
    };
  };
}
