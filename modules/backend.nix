# What makes a generation real: this very NixOS (`nixos`), or a profile of osModa's own beside it (`profile`).
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.osmoda;
  types = import ./lib/types.nix { inherit lib; };
  isNixos = cfg.backend == "nixos";
  places = lib.filter (name: cfg.nixos.${name} != null) [
    "flake"
    "configuration"
    "system"
  ];
  written = lib.attrNames (lib.filterAttrs (_: value: value != null) cfg.nixos);
  maybe =
    type: description: example:
    lib.mkOption {
      type = lib.types.nullOr type;
      default = null;
      inherit description example;
    };

  # Nix, and what it fetches the inputs of flakes with, as for NixOS's own upgrades.
  nix = {
    path = [
      config.nix.package.out
    ]
    ++ lib.optionals isNixos [
      pkgs.gitMinimal
      pkgs.gnutar
      pkgs.gzip
      pkgs.xz.bin
      config.programs.ssh.package
    ];
    environment = lib.optionalAttrs isNixos (
      config.nix.envVars
      // config.networking.proxy.envVars
      // lib.optionalAttrs (config.nix.nixPath != [ ]) {
        NIX_PATH = lib.concatStringsSep ":" config.nix.nixPath;
      }
    );
  };
in
{
  options.services.osmoda = {
    backend = lib.mkOption {
      type = lib.types.enum [
        "profile"
        "nixos"
      ];
      default = "profile";
      description = ''
        What makes a generation real. With `profile`, osModa's units are a profile of their own beside the system, and a
        change takes less than a second. With `nixos`, documents become a part of the system that `services.osmoda.nixos`
        names; every change is a generation of NixOS, and documents of the kind `NixosConfig` may set its options.
      '';
    };

    nixos = {
      flake = maybe (lib.types.strMatching "[^#]+(#[^#]+)?") ''
        The flake that describes this machine, and the name of its system in `nixosConfigurations`. Without a name that
        of the machine is taken. Only for the backend `nixos`; it takes exactly one of `flake`, `configuration` and
        `system`.
      '' "/etc/nixos#web1";

      configuration = maybe types.path ''
        The file that describes this machine, without flakes. Only for the backend `nixos`.
      '' "/etc/nixos/configuration.nix";

      system = maybe types.path ''
        Any Nix file whose value is a NixOS system: a set with `config`, `options` and `extendModules`. For machines
        that are described neither by a flake nor by a `configuration.nix`. Only for the backend `nixos`.
      '' "/etc/nixos/system.nix";

      nixpkgs = maybe types.path ''
        The nixpkgs that `services.osmoda.nixos.configuration` is evaluated with. Null is that of `nix.nixPath`.
      '' "/srv/nixpkgs";

      allowedOptions =
        maybe (lib.types.listOf types.optionPrefix)
          ''
            Beginnings of the options that documents of the kind `NixosConfig` may set, whoever wrote them. Null: those of
            root may set all.
          ''
          [
            "services.postgresql"
            "networking.firewall"
          ];

      buildTimeout = maybe types.duration ''
        Longest time that the build of a system may take, its evaluation included. Null is an hour.
      '' "3h";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = isNixos -> lib.length places == 1;
        message =
          if places == [ ] then
            ''
              services.osmoda.backend = "nixos" has to know where this machine is described. Set one of
              services.osmoda.nixos.flake, services.osmoda.nixos.configuration and services.osmoda.nixos.system.
            ''
          else
            ''
              services.osmoda.nixos: this machine is described in more than one place (${lib.concatStringsSep ", " places}).
              Keep one of them.
            '';
      }
      {
        assertion = isNixos || written == [ ];
        message = ''
          services.osmoda.nixos.${lib.concatStringsSep " and services.osmoda.nixos." written} would do nothing with the
          backend `profile`. Set services.osmoda.backend = "nixos", or leave it out.
        '';
      }
      {
        assertion = isNixos && cfg.nixos.nixpkgs != null -> cfg.nixos.configuration != null;
        message = ''
          services.osmoda.nixos.nixpkgs is only for services.osmoda.nixos.configuration: a flake and a system bring their
          own. Leave it out.
        '';
      }
      {
        assertion = isNixos -> config.system.switch.enable;
        message = ''
          services.osmoda.backend = "nixos" switches with the system's own switch-to-configuration, and
          system.switch.enable = false leaves that out.
        '';
      }
    ];

    systemd.services.osmoda-agentd = lib.mkMerge [
      nix
      {
        # Builds are the Nix daemon's: in its sandbox, by its users, within the limits of its unit, and not in agentd's. With
        # backend `nixos`, whose runner builds systems, the runner of a switch has this from agentd. At boot nothing is built, and the daemon is not there yet.
        environment = lib.mkIf config.nix.enable { NIX_REMOTE = lib.mkDefault "daemon"; };
      }
    ];
    systemd.services.osmoda-boot = nix;

    # What is rendered comes without a signature. NixOS trusts root unless a list of others says nothing of it.
    nix.settings.trusted-users = [ "root" ];

    # Backend `profile`: systemd's generator links the units of the active generation, at boot those of the committed one.
    systemd.generators = lib.mkIf (!isNixos) {
      osmoda-generator = "${cfg.package}/lib/systemd/system-generators/osmoda-generator";
    };

    # Backend `nixos`: whoever activates a system, also `nixos-rebuild` and a boot, moves the link to its documents.
    system.activationScripts.osmoda = lib.mkIf isNixos ''
      if [ -e "$systemConfig/osmoda" ]; then
        mkdir -p /run/osmoda
        ln -sfn "$(readlink -f "$systemConfig/osmoda")" /run/osmoda/.generation
        mv -T /run/osmoda/.generation /run/osmoda/generation
      else
        rm -f /run/osmoda/generation
      fi
    '';
  };
}
