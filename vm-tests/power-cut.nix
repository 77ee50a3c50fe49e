# A power cut in probation comes up in the committed generation.
{ story, ... }:

{
  name = "osmoda-power-cut";
  nodes.machine = { };
  testScript = story "power_cut" { };
}
