# Documents as Nix attribute sets, in /etc/osmoda/desired.d. They are judged twice: by their JSON Schema when the system is
# evaluated, and by `osmoda validate` when it is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.osmoda;
  types = import ./lib/types.nix { inherit lib; };
  check = import ./lib/schema.nix {
    inherit lib;
    root = types.schema;
  };
  json = pkgs.formats.json { };

  examples = {
    App = ''
      {
        web = {
          command = [ "''${pkgs.python3}/bin/python3" "-m" "http.server" "\''${port.http}" ];
          ports.http.port = 8080;
          health = [ { probe = { type = "tcp"; port = 8080; }; } ];
        };
      }
    '';
    McpServer = ''
      { files.command = [ "/run/current-system/sw/bin/mcp-files" "/srv" ]; }
    '';
    NixosConfig = ''
      { postgresql.options."services.postgresql.enable" = true; }
    '';
    Routine = ''
      {
        backup = {
          trigger = { type = "cron"; schedule = "0 3 * * *"; };
          action = { type = "command"; command = [ "/run/current-system/sw/bin/backup" ]; };
        };
      }
    '';
    Wallet = ''
      { payments.chain = "ethereum"; }
    '';
    WalletPolicy = ''
      { default = { wallets = [ "*" ]; rules = [ { name = "nothing"; effect = "deny"; } ]; }; }
    '';
    Watcher = ''
      {
        web = {
          metadata.labels.team = "web";
          spec = {
            target = "App/web";
            check = { type = "http"; url = "http://127.0.0.1:8080/"; };
            ladder = [ { action = "restart"; attempts = 3; } { action = "notify"; } ];
          };
        };
      }
    '';
  };

  # Only what documents have beside their spec: whoever writes one of these means the long form.
  isLong = value: value ? spec || value ? metadata || value ? apiVersion || value ? kind;
  short = lib.types.addCheck json.type (value: lib.isAttrs value && !isLong value);
  strings = lib.types.attrsOf lib.types.str;

  long = lib.types.submodule {
    options = {
      metadata.labels = lib.mkOption {
        type = strings;
        default = { };
        example = {
          team = "web";
        };
        description = ''
          Free labels to select by.
        '';
      };
      metadata.annotations = lib.mkOption {
        type = strings;
        default = { };
        description = ''
          Free notes; they never change what runs.
        '';
      };
      spec = lib.mkOption {
        type = json.type;
        default = { };
        description = ''
          What is wished; see the page of the kind.
        '';
      };
    };
  };

  document = lib.types.coercedTo short (spec: { inherit spec; }) long;

  all = lib.concatLists (
    lib.mapAttrsToList (
      kind: lib.mapAttrsToList (name: object: { inherit kind name object; })
    ) cfg.desired
  );

  problems =
    {
      kind,
      name,
      object,
    }:
    let
      place = "services.osmoda.desired.${kind}.${name}";
    in
    check "${place} (its name)" types.schema."$defs".Name name
    ++ check place types.schema."$defs".${kind} object.spec;

  write =
    {
      kind,
      name,
      object,
    }:
    let
      file = "${kind}-${name}.json";
      metadata = lib.filterAttrs (_: value: value != { }) object.metadata;
    in
    "cp ${
      json.generate file {
        apiVersion = "os.moda/v1";
        inherit kind;
        metadata = metadata // {
          inherit name;
        };
        inherit (object) spec;
      }
    } ${file}";

  # Files and not links: a document is a regular file, whose owner is its author.
  folder = pkgs.runCommand "osmoda-desired" { } ''
    mkdir $out
    cd $out
    ${lib.concatMapStringsSep "\n" write all}
    ${lib.optionalString (cfg.checkDocuments && all != [ ])
      "${cfg.package}/bin/osmoda validate --config ${
        config.environment.etc."osmoda/agentd.yaml".source
      } ."
    }
  '';
in
{
  options.services.osmoda = {
    desired = lib.genAttrs types.kinds (
      kind:
      lib.mkOption {
        type = lib.types.attrsOf document;
        default = { };
        example = lib.literalExpression (examples.${kind});
        # The parts of a document are the same for all.
        visible = if kind == lib.head types.kinds then true else "shallow";
        description = ''
          Documents of the kind `${kind}`, by name: the `spec`, or a set with `spec` and `metadata`.
        '';
      }
    );

    checkDocuments = lib.mkOption {
      type = lib.types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = lib.literalExpression "pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform";
      description = ''
        Whether `osmoda validate` judges `services.osmoda.desired` when the system is built. Turn it off when documents refer
        to objects that are defined elsewhere: at that time nobody knows of those.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      map (message: {
        assertion = false;
        inherit message;
      }) (lib.concatMap problems all)
      ++ [
        {
          assertion = cfg.backend == "nixos" || cfg.desired.NixosConfig == { };
          message = ''
            services.osmoda.desired.NixosConfig needs services.osmoda.backend = "nixos": a profile beside the system cannot
            change options of the system. Set it, or write the options into the configuration itself.
          '';
        }
      ];

    # It is there without documents, too: a folder that vanishes is not a wish to delete what was in it.
    environment.etc."osmoda/desired.d".source = folder;
  };
}
