# A new version of osModa takes over from the one before, in the middle of a switch. Until there is a release to come from,
# the previous one is this one, at another place in the store.
{
  hostPkgs,
  lib,
  osmoda,
  story,
  ...
}:

let
  previous = hostPkgs.symlinkJoin {
    name = "osmoda-previous";
    paths = [ osmoda ];
    # Its units and programs are its own.
    postBuild = ''
      rm -r $out/lib
      cp -r --no-preserve=mode ${osmoda}/lib $out/lib
      chmod +x $out/lib/osmoda/[ao]* $out/lib/systemd/system-generators/*
      sed -i "s|${osmoda}|$out|g" $out/lib/systemd/system/*
    '';
    inherit (osmoda) meta;
  };
in
{
  name = "osmoda-upgrade";
  nodes.machine = {
    services.osmoda.package = previous;
    specialisation.next.configuration.services.osmoda.package = lib.mkForce osmoda;
  };
  testScript = story "upgrade" {
    PREVIOUS = "${previous}";
    NEXT = "${osmoda}";
    UPGRADE = "/run/current-system/specialisation/next/bin/switch-to-configuration test";
  };
}
