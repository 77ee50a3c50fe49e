# Users other than root.
_:

{
  "an agent of this machine" = {
    module = {
      users.users.agent = {
        isSystemUser = true;
        group = "agent";
      };
      users.groups.agent = { };
      services.osmoda.authors = [
        {
          user = "agent";
          kinds = [
            "App"
            "Watcher"
          ];
          names = [ "agent-*" ];
          secrets = [ "/run/keys/agent-*" ];
        }
      ];
    };
    # There is no such user where this is judged, so the reader is not asked for its uid.
    agentd.authors = [
      {
        user = "agent";
        kinds = [
          "App"
          "Watcher"
        ];
        tiers = [
          1
          2
        ];
        users = [ "dynamic" ];
        remedies = [
          "restart"
          "notify"
        ];
        capabilities = [ ];
        secrets = [ "/run/keys/agent-*" ];
        names = [ "agent-*" ];
        nixosOptions = [ ];
      }
    ];
  };

  "a user by number, and trusted" = {
    module.services.osmoda.authors = [
      {
        user = 1000;
        kinds = [ "App" ];
        tiers = [ 0 ];
        users = [ "www" ];
        remedies = [ "rollback" ];
        capabilities = [ "CAP_NET_BIND_SERVICE" ];
      }
    ];
    agentd.authors = [
      {
        user = 1000;
        kinds = [ "App" ];
        tiers = [ 0 ];
        users = [ "www" ];
        remedies = [ "rollback" ];
        capabilities = [ "CAP_NET_BIND_SERVICE" ];
        secrets = [ ];
        names = [ "*" ];
        nixosOptions = [ ];
      }
    ];
  };

  "an author who is nobody" = {
    module.services.osmoda.authors = [
      {
        user = "agnet";
        kinds = [ "App" ];
      }
    ];
    refused = "there is no user `agnet` in users.users";
  };

  "options without the kind that sets them" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.flake = "/etc/nixos";
      authors = [
        {
          user = 1000;
          kinds = [ "App" ];
          nixosOptions = [ "services.nginx" ];
        }
      ];
    };
    refused = "has nixosOptions, but not the kind `NixosConfig`";
  };

  "a kind that the backend refuses" = {
    module.services.osmoda.authors = [
      {
        user = 1000;
        kinds = [ "NixosConfig" ];
      }
    ];
    refused = "may wish objects of the kind `NixosConfig`, which the backend";
  };

  "an author who may set options" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.flake = "/etc/nixos#web1";
      authors = [
        {
          user = 1000;
          kinds = [ "NixosConfig" ];
          nixosOptions = [
            "services.postgresql"
            ''services.nginx.virtualHosts."example.org"''
          ];
        }
      ];
    };
    agentd.authors = [
      {
        user = 1000;
        kinds = [ "NixosConfig" ];
        tiers = [
          1
          2
        ];
        users = [ "dynamic" ];
        remedies = [
          "restart"
          "notify"
        ];
        capabilities = [ ];
        secrets = [ ];
        names = [ "*" ];
        nixosOptions = [
          "services.postgresql"
          ''services.nginx.virtualHosts."example.org"''
        ];
      }
    ];
  };

  "a secret of the store for an author" = {
    module.services.osmoda.authors = [
      {
        user = 1000;
        kinds = [ "App" ];
        secrets = [ "/nix/store/*" ];
      }
    ];
    refused = "/nix/store/* is in the Nix store";
  };

  "a kind that there is not" = {
    module.services.osmoda.authors = [
      {
        user = 1000;
        kinds = [ "Deployment" ];
      }
    ];
    ends = ''is not of type `one of "App"'';
  };
}
