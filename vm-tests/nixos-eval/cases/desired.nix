# Documents as Nix attribute sets.
{ lib, pkgs, ... }:

let
  web = {
    command = [
      "${pkgs.bash}/bin/bash"
      "-c"
      "true"
    ];
    ports.http.port = 8080;
    health = [
      {
        probe = {
          type = "tcp";
          port = 8080;
        };
      }
    ];
  };
  document = kind: name: spec: {
    apiVersion = "os.moda/v1";
    inherit kind spec;
    metadata.name = name;
  };
in
{
  "a document is its spec" = {
    module.services.osmoda.desired.App.web = web;
    documents."App-web.json" = document "App" "web" web;
  };

  "a document has labels and annotations" = {
    module.services.osmoda.desired.App.web = {
      metadata = {
        labels.team = "web";
        annotations.owner = "ada@example.org";
      };
      spec = web;
    };
    documents."App-web.json" = lib.recursiveUpdate (document "App" "web" web) {
      metadata = {
        labels.team = "web";
        annotations.owner = "ada@example.org";
      };
    };
  };

  "a document is written in several places, in both forms" = {
    module = {
      imports = [
        { services.osmoda.desired.App.web.spec.environment.A = "1"; }
        { services.osmoda.desired.App.web.environment.B = lib.mkForce "2"; }
        { services.osmoda.desired.App.web.metadata.labels.a = "b"; }
        { services.osmoda.desired.App.web = lib.mkIf true web; }
        { services.osmoda.desired.App.other = lib.mkIf false web; }
      ];
    };
    documents."App-web.json" = lib.recursiveUpdate (document "App" "web" (
      web
      // {
        environment = {
          A = "1";
          B = "2";
        };
      }
    )) { metadata.labels.a = "b"; };
  };

  "a package of Nix, and a file of it" = {
    module.services.osmoda.desired.App.web = {
      package = pkgs.bash;
      command = [ "bin/bash" ];
    };
    documents."App-web.json" = document "App" "web" {
      package = "${pkgs.bash}";
      command = [ "bin/bash" ];
    };
  };

  "documents of all kinds" = {
    module.services.osmoda = {
      backend = "nixos";
      nixos.flake = "/etc/nixos";
      keyd.enable = true;
      desired = {
        App.web = web;
        Watcher.web = {
          target = "App/web";
          check.type = "unit";
          ladder = [ { action = "restart"; } ];
        };
        Routine.nightly = {
          trigger = {
            type = "cron";
            schedule = "0 3 * * *";
          };
          action.type = "serviceMonitor";
        };
        McpServer.files.command = [
          "/run/current-system/sw/bin/mcp-files"
          "/srv"
        ];
        Wallet.payments.chain = "ethereum";
        WalletPolicy.default.wallets = [ "*" ];
        NixosConfig.postgresql.options = {
          "services.postgresql.enable" = true;
          "services.postgresql.settings".port = 5433;
        };
      };
    };
    files = [
      "App-web.json"
      "McpServer-files.json"
      "NixosConfig-postgresql.json"
      "Routine-nightly.json"
      "Wallet-payments.json"
      "WalletPolicy-default.json"
      "Watcher-web.json"
    ];
  };

  "documents that nobody asks about when the system is built" = {
    module.services.osmoda = {
      checkDocuments = false;
      desired.Watcher.web = {
        target = "App/of-the-agent";
        check.type = "unit";
        ladder = [ { action = "restart"; } ];
      };
    };
    files = [ "Watcher-web.json" ];
  };

  # What its schema cannot say of a document says osModa itself, when the system is built.
  "a program without its path" = {
    module.services.osmoda.desired.App.web.command = [ "nginx" ];
    breaks = "error[absolute-command]: spec.command[0]: `nginx` is not an absolute path";
  };

  "two programs at one port" = {
    module.services.osmoda.desired.App = {
      inherit web;
      other = web;
    };
    breaks = "error[port-collision]: spec.ports.http.port: port 8080 is taken";
  };

  "an object that there is not" = {
    module.services.osmoda.desired.App.web = web // {
      after = [ "App/db" ];
    };
    breaks = "error[unknown-reference]: spec.after[0]: there is no App/db";
  };

  "a field that there is not" = {
    module.services.osmoda.desired.App.web = web // {
      comand = [ "/bin/true" ];
    };
    refused = "services.osmoda.desired.App.web.comand: there is no field `comand` here; did you mean `command`?";
  };

  "a field that is missing" = {
    module.services.osmoda.desired.Watcher.web.target = "App/web";
    refused = "services.osmoda.desired.Watcher.web.check: it is missing";
  };

  "a value of the wrong type" = {
    module.services.osmoda.desired.App.web.command = "/bin/true";
    refused = ''services.osmoda.desired.App.web.command: "/bin/true" is no array'';
  };

  "a list without anything in it" = {
    module.services.osmoda.desired.App.web.command = [ ];
    refused = "services.osmoda.desired.App.web.command: it needs at least 1 of them";
  };

  "a number that is too large" = {
    module.services.osmoda.desired.App.web = web // {
      ports.http.port = 80800;
    };
    refused = "services.osmoda.desired.App.web.ports.http.port: 80800 is more than 65535";
  };

  "a word that is none of those" = {
    module.services.osmoda.desired.App.web = web // {
      update = "reboot";
    };
    refused = ''services.osmoda.desired.App.web.update: "reboot" is none of "stopStart", "restart"'';
  };

  "a tier that there is not" = {
    module.services.osmoda.desired.App.web = web // {
      tier = 3;
    };
    refused = "services.osmoda.desired.App.web.tier: 3 is none of 0, 1, 2";
  };

  "a duration in a document that is none" = {
    module.services.osmoda.desired.App.web = web // {
      probation.ttl = "soon";
    };
    refused = ''services.osmoda.desired.App.web.probation.ttl: "soon" does not fit: a length of time'';
  };

  "a probe that there is not" = {
    module.services.osmoda.desired.App.web = web // {
      health = [ { probe.type = "ping"; } ];
    };
    refused = ''services.osmoda.desired.App.web.health[0].probe.type: it is one of "unit", "tcp", "http", "command"'';
  };

  "a probe with a field of another one" = {
    module.services.osmoda.desired.App.web = web // {
      health = [
        {
          probe = {
            type = "tcp";
            port = 80;
            url = "http://127.0.0.1/";
          };
        }
      ];
    };
    refused = "services.osmoda.desired.App.web.health[0].probe.url: there is no field `url` here";
  };

  "a name that is none" = {
    module.services.osmoda.desired.App.Web_1 = web;
    refused = ''services.osmoda.desired.App.Web_1 (its name): "Web_1" does not fit: a lower-case name'';
  };

  "a NixosConfig without the backend for it" = {
    module.services.osmoda.desired.NixosConfig.postgresql.options."services.postgresql.enable" = true;
    refused = "services.osmoda.desired.NixosConfig needs services.osmoda.backend = \"nixos\"";
  };

  "a Watcher without osmoda-watch" = {
    module.services.osmoda = {
      watch.enable = false;
      desired.Watcher.web = {
        check = {
          type = "unit";
          unit = "nginx.service";
        };
        ladder = [ { action = "notify"; } ];
      };
    };
    refused = "services.osmoda.desired.Watcher has documents, and osmoda-watch, which carries them out, is off";
  };

  "a routine by event without osmoda-routines" = {
    module.services.osmoda = {
      routines.enable = false;
      desired.Routine.told = {
        trigger = {
          type = "event";
          types = [ "switch.*" ];
        };
        action.type = "serviceMonitor";
      };
    };
    refused = "services.osmoda.desired.Routine.told is triggered by an event or a webhook";
  };

  "a routine by time needs no daemon" = {
    module.services.osmoda = {
      routines.enable = false;
      desired.Routine.nightly = {
        trigger = {
          type = "cron";
          schedule = "@daily";
        };
        action.type = "serviceMonitor";
      };
    };
    files = [ "Routine-nightly.json" ];
  };

  "a kind that is misspelt" = {
    module.services.osmoda.desired.Ap.web = web;
    ends = "`services.osmoda.desired.Ap' does not exist";
  };

  "a long document with a field outside of its spec" = {
    module.services.osmoda.desired.App.web = {
      metadata.labels.a = "b";
      command = [ "/bin/true" ];
    };
    ends = "`services.osmoda.desired.App.web.command' does not exist";
  };

  "a name in its metadata" = {
    module.services.osmoda.desired.App.web = {
      metadata.name = "other";
      spec = web;
    };
    ends = "`services.osmoda.desired.App.web.metadata.name' does not exist";
  };
}
