# A machine boots to all daemons, hardened, with a document of its configuration.
{
  hostPkgs,
  lib,
  story,
  ...
}:

{
  name = "osmoda-boot";
  nodes.machine.services.osmoda.desired.App.web = {
    command = [
      (lib.getExe hostPkgs.python3)
      "-m"
      "http.server"
      "--bind"
      "127.0.0.1"
      "--directory"
      "\${files}"
      "\${port.http}"
    ];
    ports.http.port = 8080;
    files."index.html".content = "hello";
  };
  testScript = story "boot" { };
}
