# The two backends, and what belongs to which.
_:

{
  "backend profile" = {
    module.services.osmoda.backend = "profile";
    agentd.backend = "profile";
    generator = true;
    activation = false;
  };

  "backend nixos with a flake" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.flake = "/etc/nixos#web1";
    };
    agentd = {
      backend = "nixos";
      nixos.flake = "/etc/nixos#web1";
    };
    generator = false;
    activation = true;
  };

  "backend nixos with a configuration, and all that it takes" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos = {
        configuration = "/etc/nixos/configuration.nix";
        nixpkgs = "/srv/nixpkgs";
        allowedOptions = [
          "services.postgresql"
          "networking.firewall"
        ];
        buildTimeout = "3h";
      };
    };
    agentd.nixos = {
      configuration = "/etc/nixos/configuration.nix";
      nixpkgs = "/srv/nixpkgs";
      allowedOptions = [
        "services.postgresql"
        "networking.firewall"
      ];
      buildTimeout = "3h";
    };
    generator = false;
    activation = true;
  };

  "backend nixos with any system, and nothing that documents may set" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos = {
        system = "/etc/nixos/system.nix";
        allowedOptions = [ ];
      };
    };
    agentd.nixos = {
      system = "/etc/nixos/system.nix";
      allowedOptions = [ ];
    };
  };

  "nixpkgs is found where NixOS finds it" = {
    module = {
      nix.nixPath = [
        "nixpkgs=/srv/nixpkgs"
        "nixos-config=/etc/nixos/configuration.nix"
      ];
      services.osmoda = {
        backend = "nixos";
        nixos.configuration = "/etc/nixos/configuration.nix";
      };
    };
    environment."osmoda-agentd.service" =
      "NIX_PATH=nixpkgs=/srv/nixpkgs:nixos-config=/etc/nixos/configuration.nix";
  };

  "inputs of flakes come through the proxy" = {
    module = {
      networking.proxy.default = "http://127.0.0.1:3128/";
      services.osmoda = {
        backend = "nixos";
        nixos.flake = "/etc/nixos";
      };
    };
    environment."osmoda-agentd.service" = "https_proxy=http://127.0.0.1:3128/";
  };

  "Nix is reached through its daemon" = {
    module = { };
    environment."osmoda-agentd.service" = "NIX_REMOTE=daemon";
    lacks."osmoda-boot.service" = [ "NIX_REMOTE" ];
  };

  "a Nix that is not NixOS's may have no daemon" = {
    module.nix.enable = false;
    lacks."osmoda-agentd.service" = [ "NIX_REMOTE" ];
  };

  "another store is the operator's to choose" = {
    module.systemd.services.osmoda-agentd.environment.NIX_REMOTE = "auto";
    environment."osmoda-agentd.service" = "NIX_REMOTE=auto";
  };

  "root may add to the store, whoever else may" = {
    module =
      { config, lib, ... }:
      {
        nix.settings.trusted-users = [ "@wheel" ];
        assertions =
          map
            (user: {
              assertion = lib.elem user config.nix.settings.trusted-users;
              message = "${user} is not trusted";
            })
            [
              "root"
              "@wheel"
            ];
      };
  };

  "backend nixos that knows no system" = {
    module.services.osmoda.backend = "nixos";
    refused = "has to know where this machine is described";
  };

  "backend nixos that knows two systems" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos = {
        flake = "/etc/nixos";
        configuration = "/etc/nixos/configuration.nix";
      };
    };
    refused = "described in more than one place (flake, configuration)";
  };

  "a system for backend profile" = {
    module.services.osmoda.nixos.flake = "/etc/nixos";
    refused = "services.osmoda.nixos.flake would do nothing with the\nbackend `profile`";
  };

  "allowed options for backend profile" = {
    module.services.osmoda.nixos.allowedOptions = [ "services.nginx" ];
    refused = "services.osmoda.nixos.allowedOptions would do nothing";
  };

  "nixpkgs for a flake" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos = {
        flake = "/etc/nixos";
        nixpkgs = "/srv/nixpkgs";
      };
    };
    refused = "services.osmoda.nixos.nixpkgs is only for services.osmoda.nixos.configuration";
  };

  "a system that cannot be switched" = {
    module =
      { lib, ... }:
      {
        system.switch.enable = lib.mkForce false;
        services.osmoda = {
          backend = "nixos";
          nixos.flake = "/etc/nixos";
        };
      };
    refused = "system.switch.enable = false leaves that out";
  };

  "a configuration that would be copied to the store" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.configuration = ./backend.nix;
    };
    ends = "`services.osmoda.nixos.configuration' is not of type `null or absolute path, written as a string'";
  };

  "an allowed option that is none" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.flake = "/etc/nixos";
      nixos.allowedOptions = [ "services..nginx" ];
    };
    ends = "path of NixOS options, such as `services.postgresql`";
  };
}
