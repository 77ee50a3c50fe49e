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
  keyd = [
    "osmoda-keyd.service"
    "osmoda-keyd.socket"
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

  "wallets, when somebody wants them" = {
    module.services.osmoda = {
      watch.enable = false;
      routines.enable = false;
      witness.enable = false;
      keyd.enable = true;
      desired.Wallet.payments.chain = "ethereum";
    };
    units = agentd ++ keyd;
    adds."osmoda-keyd.socket" = [
      "SocketGroup=osmoda"
      "SocketMode=0660"
    ];
    # The package's unit says where it is.
    omits."osmoda-keyd.service" = [ "LoadCredential" ];
  };

  "a passphrase from elsewhere" = {
    module.services.osmoda.keyd = {
      enable = true;
      passphraseFile = "/run/keys/keyd";
      log = "debug";
    };
    environment."osmoda-keyd.service" = "OSMODA_LOG=debug";
    adds."osmoda-keyd.service" = [ "LoadCredential=passphrase:/run/keys/keyd" ];
  };

  "a passphrase that is sealed to the machine" = {
    module.services.osmoda.keyd = {
      enable = true;
      passphraseSealed = true;
    };
    adds."osmoda-keyd.service" = [ "LoadCredentialEncrypted=passphrase:/etc/osmoda-keyd/passphrase" ];
  };

  "wallets, and nobody who keeps their keys" = {
    module.services.osmoda.desired.Wallet.payments.chain = "ethereum";
    refused = "osmoda-keyd, which carries them out, is off";
  };

  "policies, and nobody who goes by them" = {
    module.services.osmoda.desired.WalletPolicy.agent = {
      wallets = [ "payments" ];
      rules = [ ];
    };
    refused = "osmoda-keyd, which carries them out, is off";
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
