use anyhow::Result;
use clap::Args;
#[derive(Debug, Args)]
pub struct Test {}
impl Test {
    pub fn run(&self) -> Result<()> {
        Ok(())
    }
}
