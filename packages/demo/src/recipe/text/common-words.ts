/** Lists everyday words of questions about images that the demo's dialogues lack; they fill the tokenizer's vocabulary. */

export const COMMON_WORDS = `
a about after again air all also always animal another any anything around away baby back bag ball bear because bed
before behind being between bicycle bird black board boat body book both bottle bowl box boy bread bridge bright
brother brown building bus but buy by cake call camera car cat chair child children city clock close clothes cloud
coffee cold computer cook corner could country cup dark day desk different dinner dog door down dress drink drive each
early earth eat egg else empty end enough even evening every everything expression eye face family far fast father few
field find fire first fish flag floor flower fly follow food foot for forest friend from front fruit full fun funny game
garden get girl give glass go gold grass gray great ground group grow guess hair half hand happy hard hat have head hear
heart heavy here high hill him his hold home horse hot hour house if important inside into its just keep kind kitchen
know lady lake lamp language last laugh learn leave leg letters life light like line list listen live long look lot love
low lunch machine many map mark market may mean meat meet message metal might milk minute money month moon more most
mother mountain mouth much music near need new next nice night nose now number object ocean off often old once only open
other our outside over own page paint paper park party past pattern phone photo piece place plane plant plate play point
possible present pretty probably put quick quiet rain reason rectangle ride ring river road rock room round run sad same
say sea season second sentence set shadow she ship shoe short should show side sign silver simple sister sit sky sleep
slow smile snow some someone something song sort sound space speak spell sport spring stand start stay still stop story
street strong student summer sun sure table take talk tall taste tea teacher team television text their them then these
they thin thing think through time tired today together tomorrow too toward town toy train travel tree truck true try
turn under until up use van view visible visit wait walk wall want warm watch water wave wear weather week well wet
wheel when white why wide wife wild will wind window winter wish with without woman wonder wood work world would write
wrong year yet young
`
  .trim()
  .split(/\s+/);
