# In the place of what `nixos-generate-config` writes on the machine itself.
{
  nixpkgs.hostPlatform = "x86_64-linux";
  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "virtio_blk"
    "virtio_pci"
    "virtio_scsi"
  ];
}
