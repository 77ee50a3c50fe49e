# A watcher mends what is stopped or killed.
{ story, ... }:

{
  name = "osmoda-watcher";
  nodes.machine = { };
  testScript = story "watcher" { };
}
