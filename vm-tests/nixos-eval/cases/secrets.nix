# Secrets never are in the store.
{ pkgs, ... }:

let
  app = secrets: {
    command = [ "${pkgs.bash}/bin/bash" ];
    inherit secrets;
  };
in
{
  "secrets by file and by credential" = {
    module.services.osmoda.desired.App.web = app {
      token.file = "/run/keys/token";
      key.credential = "web-key";
    };
    files = [ "App-web.json" ];
  };

  "a secret that is a path of Nix" = {
    module.services.osmoda.desired.App.web = app { token.file = ./secrets.nix; };
    refused = "services.osmoda.desired.App.web.secrets.token: ";
  };

  "a secret that is written by Nix" = {
    module.services.osmoda.desired.McpServer.files = app {
      token.file = "${pkgs.writeText "token" "hunter2"}";
    };
    refused = "is in the Nix store or would be copied to it, and every user may read what is there";
  };

  "a passphrase that is written by Nix" = {
    module.services.osmoda.keyd = {
      enable = true;
      passphraseFile = "${pkgs.writeText "passphrase" "correct horse battery"}";
    };
    refused = "services.osmoda.keyd.passphraseFile: ";
  };
}
