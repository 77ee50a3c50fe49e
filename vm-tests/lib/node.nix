# The machine of the tests: osModa with short times, a disk that outlives a power cut, and no network.
{ osmoda }:
{ lib, pkgs, ... }:

{
  imports = [ ../../modules ];

  services.osmoda = {
    enable = true;
    package = lib.mkDefault osmoda;
    safeSwitch = {
      ttl = "2s";
      interval = "500ms";
    };
  };

  environment.systemPackages = [
    pkgs.curl
    pkgs.python3
  ];
  nix.settings.substituters = lib.mkForce [ ];

  virtualisation = {
    memorySize = 1536;
    writableStore = true;
    # Generations have to be there after a power cut.
    writableStoreUseTmpfs = false;
  };
}
