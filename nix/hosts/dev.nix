# A virtual machine to play with: `nix run .#dev-vm`. Its console is root's; its documents are below.
{
  lib,
  modulesPath,
  pkgs,
  ...
}:

{
  imports = [ "${modulesPath}/virtualisation/qemu-vm.nix" ];

  networking.hostName = "osmoda-dev";
  services.getty.autologinUser = "root";
  users.motd = ''

    osmoda get apps          what runs
    osmoda status            how osModa is
    /var/lib/osmoda/desired  save documents here, and read the answer in /var/lib/osmoda/status
    http://localhost:8080    the page of App/hello, from outside

  '';
  virtualisation = {
    graphics = false;
    memorySize = 2048;
    # As the app it leads to, it listens on the loopback addresses alone.
    forwardPorts = [
      {
        from = "host";
        host = {
          address = "127.0.0.1";
          port = 8080;
        };
        guest.port = 8080;
      }
    ];
  };
  networking.firewall.allowedTCPPorts = [ 8080 ];

  services.osmoda = {
    enable = true;
    safeSwitch.ttl = "5s";
    desired.App.hello = {
      description = "A page from the store";
      command = [
        (lib.getExe pkgs.python3)
        "-m"
        "http.server"
        "--directory"
        "\${files}"
        "\${port.http}"
      ];
      files."index.html".content = ''
        hello
      '';
      ports.http = {
        address = "0.0.0.0";
        port = 8080;
      };
      access.network = "host";
      health = [
        {
          name = "page";
          probe = {
            type = "http";
            url = "http://127.0.0.1:8080/";
            bodyContains = "hello";
          };
        }
      ];
    };
    desired.Watcher.hello = {
      target = "App/hello";
      check.type = "unit";
      ladder = [
        {
          action = "restart";
          attempts = 3;
        }
        { action = "notify"; }
      ];
    };
  };

  system.stateVersion = lib.trivial.release;
}
