# A good change is committed, a bad one undoes itself, and a slip takes nothing away.
{ story, ... }:

{
  name = "osmoda-switch";
  nodes.machine = { };
  testScript = story "switch" { };
}
