{
  networking.hostName = "osmoda-server";

  users.users.root.openssh.authorizedKeys.keys = [
    # "ssh-ed25519 AAAA... you@example.org"
  ];

  # What documents may set of NixOS. Without this line root's may set everything.
  # services.osmoda.nixos.allowedOptions = [ "services.postgresql" ];
}
