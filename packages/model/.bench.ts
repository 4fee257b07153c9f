import sharp from "sharp";
import { decodePicture, pictureHash, pixelValues } from "./src/index.ts";
import { CLIP_MEAN, CLIP_STD } from "./src/preprocessor.ts";
const make = async (w:number,h:number,ch:3|4) => {
  const raw = Buffer.alloc(w*h*ch); for (let i=0;i<raw.length;i++) raw[i]=((i*2654435761)>>>13)&31 | ((i/ w)&0xe0);
  return sharp(raw,{raw:{width:w,height:h,channels:ch}});
};
const cpu=()=>{const u=(process as any).threadCpuUsage();return (u.user+u.system)/1000}; let last=cpu(), worst=0; const lag=setInterval(()=>{const n=cpu();worst=Math.max(worst,n-last);last=n;},1);
for (const [w,h,ch,f] of [[4000,3000,3,"jpeg"],[4000,3000,4,"webp"],[8000,5000,3,"jpeg"],[16384,100,3,"png"],[640,480,3,"jpeg"]] as const) {
  const b = new Uint8Array(await (await make(w,h,ch)).toFormat(f,{quality:60}).toBuffer());
  for (const [size,shape] of [[336,"pad"],[336,"crop"],[96,"pad"]] as const) {
  const ms=cpu; await new Promise(r=>setTimeout(r,20)); worst=0; last=ms();
  let t=ms(); let p; try { p = await decodePicture(b);} catch(e){ console.log(w,h,f,b.length,(e as Error).message); break; } const d=ms()-t; const wd=worst; worst=0; t=ms();
  await pixelValues(p,{size,shape,mean:CLIP_MEAN,std:CLIP_STD,rescale:1/255}); const r=ms()-t; const wr=worst; worst=0; t=ms();
  await pictureHash(p); const hh=ms()-t;
  console.log(w,h,ch,f,(b.length/1e6).toFixed(1)+"MB",size,shape,"decode",d.toFixed(0),"lag",wd.toFixed(1),"| pixels",r.toFixed(0),"lag",wr.toFixed(1),"| hash",hh.toFixed(0),"lag",worst.toFixed(1));
  }
}
clearInterval(lag);
