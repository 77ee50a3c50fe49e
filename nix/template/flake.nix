{
  inputs.osmoda.url = "github:osmoda/osmoda";

  outputs =
    { osmoda, ... }:
    {
      # By the name of the machine, networking.hostName: that is how osModa finds it.
      nixosConfigurations.osmoda-server = osmoda.inputs.nixpkgs.lib.nixosSystem {
        modules = [
          osmoda.nixosModules.default
          osmoda.nixosModules.server
          ./hardware-configuration.nix
          ./configuration.nix
        ];
      };
    };
}
