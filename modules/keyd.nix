# osmoda-keyd: wallets. It starts with a passphrase alone, so it is off until somebody gives it one.
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

  # What the package's unit says by itself.
  usual = "/etc/osmoda-keyd/passphrase";

  # It may execute itself and its libraries, and no program: of all that the package needs, the folders of libraries.
  closure =
    pkgs.runCommand "osmoda-closure"
      {
        paths = pkgs.closureInfo { rootPaths = [ cfg.package ]; };
      }
      ''
        folder=$out/lib/systemd/system/osmoda-keyd.service.d
        mkdir -p $folder
        echo "[Service]" > $folder/closure.conf
        while read -r path; do
          if [ $path != ${cfg.package} ] && [ -d $path/lib ]; then
            echo "ExecPaths=$path/lib" >> $folder/closure.conf
          fi
        done < $paths/store-paths
      '';
in
{
  options.services.osmoda.keyd = {
    enable = lib.mkEnableOption "osmoda-keyd, which keeps keys of wallets, and signs what policies let pass";

    passphraseFile = lib.mkOption {
      type = types.path;
      default = usual;
      example = "/run/keys/osmoda-keyd";
      description = ''
        The passphrase of the vault: a file of root's, 16 bytes at the least, such as
        `head -c 24 /dev/urandom | base64` writes. It has to be there before the daemon starts. Keep a copy elsewhere: without it nobody opens the vault again.
      '';
    };

    passphraseSealed = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = ''
        Whether the file was sealed to this machine, with `systemd-creds encrypt --name=passphrase`.
      '';
    };

    log = types.log;
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf cfg.keyd.enable {
        systemd.packages = [
          (daemon.units [
            "osmoda-keyd.service"
            "osmoda-keyd.socket"
          ])
          closure
        ];
        systemd.services.osmoda-keyd = lib.mkMerge [
          (daemon.service cfg.keyd)
          daemon.configured
          {
            serviceConfig =
              if cfg.keyd.passphraseSealed then
                { LoadCredentialEncrypted = "passphrase:${cfg.keyd.passphraseFile}"; }
              else
                lib.optionalAttrs (cfg.keyd.passphraseFile != usual) {
                  LoadCredential = "passphrase:${cfg.keyd.passphraseFile}";
                };
          }
        ];
        systemd.sockets.osmoda-keyd = {
          wantedBy = [ "sockets.target" ];
          # The group is there, so systemd gives it the socket by itself.
          socketConfig = {
            SocketGroup = "osmoda";
            SocketMode = "0660";
          };
        };
      })
      {
        assertions = [
          {
            assertion = cfg.keyd.enable || cfg.desired.Wallet == { } && cfg.desired.WalletPolicy == { };
            message = ''
              services.osmoda.desired has documents of wallets, and osmoda-keyd, which carries them out, is off. Set
              services.osmoda.keyd.enable = true, or leave them out.
            '';
          }
        ];
      }
    ]
  );
}
