# agentd's configuration file, which agentd's own reader accepts.
_:

{
  "the file says what is the default" = {
    module = { };
    agentd = {
      reconcile = "auto";
      debounce = "20ms";
      resync = "5m";
      backend = "profile";
      sources = [
        "/var/lib/osmoda/desired"
        "/etc/osmoda/desired.d"
      ];
      safeSwitch = {
        ttl = "30s";
        interval = "5s";
        activationTimeout = "2m";
      };
      massDelete = {
        share = 0.5;
        minimum = 3;
      };
      authors = [ ];
    };
  };

  "changes wait for an apply" = {
    module.services.osmoda.reconcile = "manual";
    agentd.reconcile = "manual";
  };

  "everything has its own time" = {
    module.services.osmoda = {
      debounce = "1s";
      resync = "1h30m";
      safeSwitch = {
        ttl = "10m";
        interval = "1s500ms";
        activationTimeout = "1d";
      };
    };
    agentd = {
      debounce = "1s";
      resync = "1h30m";
      safeSwitch = {
        ttl = "10m";
        interval = "1s500ms";
        activationTimeout = "1d";
      };
    };
  };

  "no deletion is too many" = {
    module.services.osmoda.massDelete = {
      share = 1;
      minimum = 0;
    };
    agentd.massDelete = {
      share = 1;
      minimum = 0;
    };
  };

  "another folder of documents" = {
    module.services.osmoda.sources = [
      "/srv/documents"
      "/etc/osmoda/desired.d"
    ];
    agentd.sources = [
      "/srv/documents"
      "/etc/osmoda/desired.d"
    ];
  };

  "documents that nobody would read" = {
    module.services.osmoda = {
      sources = [ "/srv/documents" ];
      desired.App.web.command = [ "/bin/true" ];
    };
    refused = ''services.osmoda.sources does not contain "/etc/osmoda/desired.d"'';
  };

  "a duration without a unit" = {
    module.services.osmoda.debounce = "20";
    ends = "`services.osmoda.debounce' is not of type `duration, such as `500ms`";
  };

  "a duration with its units in the wrong order" = {
    module.services.osmoda.safeSwitch.ttl = "5s1m";
    ends = "`services.osmoda.safeSwitch.ttl' is not of type `duration";
  };

  "a share of more than all" = {
    module.services.osmoda.massDelete.share = 1.5;
    ends = "`services.osmoda.massDelete.share' is not of type";
  };

  "a folder of documents as a path of Nix" = {
    module.services.osmoda.sources = [ ./. ];
    ends = "is not of type `absolute path, written as a string'";
  };

  "an option that nothing reads does not exist" = {
    module.services.osmoda.gateway.enable = true;
    ends = "`services.osmoda.gateway' does not exist";
  };
}
