# What users other than root may wish.
{ config, lib, ... }:

let
  cfg = config.services.osmoda;
  types = import ./lib/types.nix { inherit lib; };
  strings = lib.types.listOf lib.types.str;

  author = {
    options = {
      user = lib.mkOption {
        type = lib.types.either lib.types.ints.u32 lib.types.str;
        example = "agent";
        description = ''
          The user: a name of `users.users`, or a uid.
        '';
      };

      kinds = lib.mkOption {
        type = lib.types.listOf (lib.types.enum types.kinds);
        example = [
          "App"
          "Watcher"
        ];
        description = ''
          Kinds of objects.
        '';
      };

      tiers = lib.mkOption {
        type = lib.types.listOf (
          lib.types.enum [
            0
            1
            2
          ]
        );
        default = [
          1
          2
        ];
        description = ''
          Trust tiers. Programs of tier 0 run outside of any sandbox.
        '';
      };

      users = lib.mkOption {
        type = strings;
        default = [ "dynamic" ];
        description = ''
          Unix users that programs may run as; `dynamic` stands for users of their own.
        '';
      };

      remedies = lib.mkOption {
        type = lib.types.listOf (lib.types.enum types.remedies);
        default = [
          "restart"
          "notify"
        ];
        description = ''
          Remedies of watchers.
        '';
      };

      capabilities = lib.mkOption {
        type = strings;
        default = [ ];
        example = [ "CAP_NET_BIND_SERVICE" ];
        description = ''
          Linux capabilities that programs may keep.
        '';
      };

      secrets = lib.mkOption {
        type = strings;
        default = [ ];
        example = [ "/run/keys/shop-*" ];
        description = ''
          Files and credentials that programs may get as secrets; a trailing `*` stands for any ending. The service manager
          reads them as root, so this list, not the file's mode, is what guards them.
        '';
      };

      names = lib.mkOption {
        type = strings;
        default = [ "*" ];
        example = [ "agent-*" ];
        description = ''
          Names of objects; a trailing `*` stands for any ending.
        '';
      };

      nixosOptions = lib.mkOption {
        type = lib.types.listOf types.optionPrefix;
        default = [ ];
        example = [ "services.postgresql" ];
        description = ''
          Beginnings of the NixOS options that documents of the kind `NixosConfig` may set. Many options run programs as
          root: whoever may set them is root.
        '';
      };
    };
  };
in
{
  options.services.osmoda.authors = lib.mkOption {
    type = lib.types.listOf (lib.types.submodule author);
    default = [ ];
    description = ''
      What users other than root may wish. Root may wish everything, and nobody else anything. A user may have several
      entries; one of them has to allow an object in whole.
    '';
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.concatMap (author: [
      {
        assertion = lib.isInt author.user || config.users.users ? ${author.user};
        message = ''
          services.osmoda.authors: there is no user `${toString author.user}` in users.users, and agentd does not start with
          an author that it cannot find. Declare the user, or write the uid of one that was made by hand.
        '';
      }
      {
        assertion = author.nixosOptions == [ ] || lib.elem "NixosConfig" author.kinds;
        message = ''
          services.osmoda.authors: `${toString author.user}` has nixosOptions, but not the kind `NixosConfig` that could set
          them. Add it to kinds, or leave nixosOptions out.
        '';
      }
      {
        assertion = cfg.backend == "nixos" || !lib.elem "NixosConfig" author.kinds;
        message = ''
          services.osmoda.authors: `${toString author.user}` may wish objects of the kind `NixosConfig`, which the backend
          `profile` refuses. Set services.osmoda.backend = "nixos", or leave the kind out.
        '';
      }
    ]) cfg.authors;
  };
}
